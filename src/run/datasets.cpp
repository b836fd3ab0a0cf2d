#include "run/datasets.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"
#include "os/log.h"
#include "run/harbor.h"
#include "run/hub.h"

namespace awm {
namespace {

constexpr int64_t page_rows = 100;  // the most that the API gives
constexpr int64_t most_rows = 1'000'000;
constexpr int most_restarts = 3;
constexpr int64_t rows_a_line = 500;  // of progress
constexpr std::size_t most_name = 96;
constexpr std::size_t shown_digits = 12;
constexpr uint64_t most_revision_bytes = 4096;
constexpr uint64_t most_page_bytes = uint64_t{1} << 30;

struct Alias {
  std::string_view alias;
  std::string_view name;
};
constexpr auto aliases = std::to_array<Alias>({
    {"lite", "SWE-bench/SWE-bench_Lite"},
    {"verified", "SWE-bench/SWE-bench_Verified"},
    {"full", "SWE-bench/SWE-bench"},
    {"multilingual", "SWE-bench/SWE-bench_Multilingual"},
    {"multimodal", "SWE-bench/SWE-bench_Multimodal"},
    {"swe-bench", "SWE-bench/SWE-bench"},
    {"swebench", "SWE-bench/SWE-bench"},
    {"swe_bench", "SWE-bench/SWE-bench"},
    {"swe-bench-lite", "SWE-bench/SWE-bench_Lite"},
    {"swebench-lite", "SWE-bench/SWE-bench_Lite"},
    {"swe_bench_lite", "SWE-bench/SWE-bench_Lite"},
    {"swe-bench_lite", "SWE-bench/SWE-bench_Lite"},
});

// Letters, digits and ._- of a name that may be that of a folder.
bool is_plain(std::string_view text) {
  const bool letters = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' ||
           c == '-';
  });
  return letters && !text.empty() && text.size() <= most_name && text.front() != '.' && text.front() != '-';
}

// "OWNER/NAME:CONFIG" in its parts.
struct HubName {
  std::string name;    // "OWNER/NAME"
  std::string config;  // "" : the data set's only one, or "default"
};

std::optional<HubName> parse_hub_name(const std::string& text) {
  const auto colon = text.find(':');
  HubName parsed{.name = text.substr(0, colon), .config = {}};
  if (colon != std::string::npos) {
    parsed.config = text.substr(colon + 1);
    if (parsed.config.empty()) return std::nullopt;
  }
  const auto parts = split(parsed.name, '/');
  if (parts.size() != 2 || !is_plain(parts[0]) || !is_plain(parts[1])) return std::nullopt;
  // Rather a path that was mistyped.
  if (parsed.name.ends_with(".jsonl") || parsed.name.ends_with(".json")) return std::nullopt;
  return parsed;
}

bool is_hashed(std::string_view text) {
  constexpr std::size_t length = 65;
  return text.size() == length && text.front() == '=' && is_plain(text.substr(1));
}

// A folder's name for what a server may call as it likes; of such a name, itself.
std::string folder_name(const std::string& text) {
  return is_plain(text) || is_hashed(text) ? text : "=" + sha256_hex(text);
}

std::string short_revision(const std::string& revision) {
  return revision.substr(0, shown_digits);
}

struct Page {
  std::string file;  // its name
  int64_t first = 0;
  int64_t count = 0;
  int64_t total = 0;
  std::string hash;
};

std::optional<Page> parse_page_name(const std::string& file) {
  constexpr std::string_view ending = ".jsonl";
  if (!file.ends_with(ending)) return std::nullopt;
  const auto parts = split(std::string_view(file).substr(0, file.size() - ending.size()), '-');
  if (parts.size() != 4) return std::nullopt;
  const auto number = [](const std::string& text, int64_t& to) {
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), to);
    return problem == std::errc{} && end == text.data() + text.size() && to >= 0;
  };
  Page page{.file = file, .hash = parts[3]};
  if (!number(parts[0], page.first) || !number(parts[1], page.count) || !number(parts[2], page.total) ||
      page.count == 0)
    return std::nullopt;
  return page;
}

// What the cache has of one data set.
class Shelf {
 public:
  Shelf(const std::string& cache, const std::string& hub, const std::string& name) {
    std::string host = hub.substr(hub.find("://") + 3);
    if (const auto at = host.rfind('@'); at != std::string::npos) host.erase(0, at + 1);
    folder_ = join_path(join_path(join_path(cache, "datasets"), replace_all(host, "/", "_")), name);
  }

  [[nodiscard]] std::string split_folder(const HubSplit& split) const {
    return join_path(join_path(folder_, folder_name(split.config)), folder_name(split.split));
  }
  [[nodiscard]] std::string revision_folder(const HubSplit& split, const std::string& revision) const {
    return join_path(split_folder(split), folder_name(revision));
  }

  // Configurations whose `split` is here, by the names of their folders.
  [[nodiscard]] std::vector<std::string> configs(const std::string& split) const {
    std::vector<std::string> found;
    auto names = sys::list_folder(folder_);
    if (!names) return found;
    for (auto& name : *names) {
      if (is_folder(split_folder({.config = name, .split = split}))) found.push_back(std::move(name));
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  // The revision that was completed last; "" none.
  [[nodiscard]] std::string latest(const HubSplit& split) const {
    const auto text = read_file(join_path(split_folder(split), "latest"), most_revision_bytes);
    return text ? std::string(trim(*text)) : "";
  }

  // The files that are all rows of this revision; nullopt where they are not all here, whole and as they were written.
  [[nodiscard]] std::optional<std::vector<std::string>> complete(const HubSplit& split,
                                                                 const std::string& revision) const {
    const auto folder = revision_folder(split, revision);
    const auto list = read_file(join_path(folder, "complete"), most_page_bytes);
    if (!list) return std::nullopt;
    std::vector<std::string> files;
    int64_t next = 0;
    int64_t total = 0;
    for (const auto line : split_lines(*list)) {
      const auto page = parse_page_name(std::string(line));
      if (!page || page->first != next || (next > 0 && page->total != total) || !is_whole(folder, *page))
        return damaged(folder);
      total = page->total;
      next += page->count;
      files.push_back(join_path(folder, page->file));
    }
    if (files.empty() || next != total) return damaged(folder);
    return files;
  }

  // Pages of this revision by their first row: what an earlier fetch came to.
  [[nodiscard]] static std::map<int64_t, Page> pages(const std::string& folder) {
    std::map<int64_t, Page> pages;
    const auto names = sys::list_folder(folder);
    if (!names) return pages;
    for (const auto& name : *names) {
      auto page = parse_page_name(name);
      if (!page) continue;
      if (is_whole(folder, *page)) {
        pages[page->first] = *page;
      } else {
        (void)sys::unlink(join_path(folder, name));  // where it stays, it is looked at again and never used
      }
    }
    return pages;
  }

  static Result<Page> put(const std::string& folder, int64_t first, int64_t total,
                          const std::vector<std::string>& rows) {
    std::string text;
    for (const auto& row : rows) {
      text += row;
      text += '\n';
    }
    Page page{.first = first,
              .count = static_cast<int64_t>(rows.size()),
              .total = total,
              .hash = sha256_hex(text).substr(0, hash_digits)};
    page.file = fmt::format("{:08}-{}-{}-{}.jsonl", page.first, page.count, page.total, page.hash);
    AWM_CHECK(make_folders(folder));
    AWM_CHECK(write_file(join_path(folder, page.file), text, true));
    return page;
  }

  Result<void> finish(const HubSplit& split, const std::string& revision, const std::vector<Page>& pages) const {
    std::string list;
    for (const auto& page : pages) list += page.file + "\n";
    AWM_CHECK(write_file(join_path(revision_folder(split, revision), "complete"), list, true));
    return write_file(join_path(split_folder(split), "latest"), revision + "\n", true);
  }

 private:
  static constexpr std::size_t hash_digits = 16;

  static bool is_whole(const std::string& folder, const Page& page) {
    const auto text = read_file(join_path(folder, page.file), most_page_bytes);
    return text && sha256_hex(*text).starts_with(page.hash) && page.hash.size() == hash_digits;
  }

  static std::nullopt_t damaged(const std::string& folder) {
    (void)sys::unlink(join_path(folder, "complete"));
    log_warning(folder + ": what the cache has there is damaged; its rows are fetched again");
    return std::nullopt;
  }

  std::string folder_;
};

// The rows of one name, as files.
class NamedDataset {
 public:
  struct Found {
    std::string revision;
    std::vector<std::string> files;
  };

  NamedDataset(const HubName& name, const std::string& split, const std::string& wanted, const HubSettings& settings,
               const std::string& cache, std::unique_ptr<Hub>& hub)
      : name_(name),
        split_(split),
        wanted_(wanted),
        settings_(settings),
        shelf_(cache, settings.hub, name.name),
        hub_(hub) {}

  Result<Found> find(const Scope& scope, const Stop& stop) {
    if (!wanted_.empty()) {
      if (auto found = cached(wanted_)) return told(*std::move(found), "from the cache");
    }
    if (settings_.offline) {
      return from_cache(Error{.code = Errc::unavailable,
                              .operation = "fetch",
                              .object = name_.name,
                              .cause = "HF_HUB_OFFLINE or HF_DATASETS_OFFLINE says not to ask the Hub",
                              .remedy = "unset it"});
    }
    if (!hub_) {
      AWM_TRY(hub_, Hub::open(scope, stop, settings_));
    }
    auto fetched = ask();
    if (fetched || fetched.error().code != Errc::unavailable) return fetched;
    return from_cache(std::move(fetched).error());
  }

 private:
  [[nodiscard]] std::string title() const {
    return name_.name + (name_.config.empty() ? "" : ":" + name_.config) + ", split " + split_;
  }

  static int64_t rows_in(const Found& found) {
    const auto page = parse_page_name(file_name(found.files.back()));
    return page ? page->total : 0;
  }

  Found told(Found found, std::string_view whence) const {
    log_info(
        fmt::format("{}: {} rows of revision {}, {}", title(), rows_in(found), short_revision(found.revision), whence));
    return found;
  }

  // In the cache, of this revision, whichever configuration it has there when the name says none.
  std::optional<Found> cached(const std::string& revision) {
    for (const auto& config : configs_here()) {
      if (auto files = shelf_.complete({.config = config, .split = split_}, revision))
        return Found{.revision = revision, .files = *std::move(files)};
    }
    return std::nullopt;
  }

  [[nodiscard]] std::vector<std::string> configs_here() const {
    if (!name_.config.empty()) return {name_.config};
    auto here = shelf_.configs(split_);
    if (std::find(here.begin(), here.end(), "default") != here.end()) return {"default"};
    return here.size() == 1 ? here : std::vector<std::string>{};
  }

  Result<Found> from_cache(Error why) {
    for (const auto& config : configs_here()) {
      const auto revision = shelf_.latest({.config = config, .split = split_});
      if (revision.empty()) continue;
      auto files = shelf_.complete({.config = config, .split = split_}, revision);
      if (!files) continue;
      Found found{.revision = revision, .files = *std::move(files)};
      log_warning(fmt::format("{}: {}; taken from the cache: {} rows of revision {}", title(), why.cause,
                              rows_in(found), short_revision(revision)));
      return found;
    }
    why.cause += "; and the cache has no rows of " + title();
    return std::unexpected(std::move(why));
  }

  Result<Found> ask() {
    auto known = hub_->find(name_.name);
    if (!known) {
      if (known.error().code == Errc::not_found) {
        known.error().cause = "there is no such file or folder here, and " + known.error().cause;
      }
      return std::unexpected(std::move(known).error());
    }
    id_ = known->id;
    if (id_ != name_.name) log_info(fmt::format("{} is {} now", name_.name, id_));
    // Without a configuration "default" is meant where there is one: that is known only of a cache that has it.
    HubSplit split{.config = name_.config.empty() ? "default" : name_.config, .split = split_};
    if (auto files = shelf_.complete(split, known->revision))
      return told({.revision = known->revision, .files = *std::move(files)}, "from the cache");
    AWM_TRY(split, choose());
    return fetch(split, known->revision);
  }

  Result<HubSplit> choose() {
    AWM_TRY(const auto splits, hub_->splits(id_));
    std::set<std::string> configs;
    std::set<std::string> names;
    for (const auto& one : splits) {
      names.insert(one.split);
      if (one.split == split_) configs.insert(one.config);
    }
    const auto words = [](const std::set<std::string>& set) {
      return join(std::vector<std::string>(set.begin(), set.end()), ", ");
    };
    if (configs.empty()) {
      return fail(Errc::invalid_input, "fetch", name_.name, "it has no split " + split_,
                  names.empty() ? "" : "use --split with one of: " + words(names));
    }
    std::string config = name_.config;
    if (config.empty()) config = configs.contains("default") ? "default" : *configs.begin();
    if (!configs.contains(config)) {
      return fail(Errc::invalid_input, "fetch", name_.name,
                  fmt::format("its split {} has no configuration {}", split_, config),
                  "name one of: " + words(configs));
    }
    if (name_.config.empty() && config != "default" && configs.size() > 1) {
      return fail(Errc::invalid_input, "fetch", name_.name,
                  fmt::format("its split {} is there in several configurations", split_),
                  fmt::format("name one: {}:CONFIG with one of: {}", name_.name, words(configs)));
    }
    return HubSplit{.config = config, .split = split_};
  }

  // All rows of one revision, whatever the server's does meanwhile.
  Result<Found> fetch(const HubSplit& split, std::string revision) {
    int restarts = 0;
    for (;;) {
      if (!revision.empty()) {
        if (auto files = shelf_.complete(split, revision))
          return told({.revision = revision, .files = *std::move(files)}, "from the cache");
      }
      AWM_TRY(const auto other, fetch_revision(split, revision));
      if (!other) return told(std::move(found_), "fetched");
      // The Hub's newest commit and what its server of rows has made of it may differ for a while.
      if (++restarts > most_restarts) {
        return fail(Errc::unavailable, "fetch", name_.name,
                    fmt::format("its revision changed {} times while its rows were fetched", restarts),
                    "try again in some minutes");
      }
      log_info(fmt::format("{}: the rows are of revision {}, not {}; begun anew", title(), short_revision(*other),
                           revision.empty() ? "one that is known" : short_revision(revision)));
      revision = *other;
    }
  }

  // Nullopt: found_ is all rows of it. Else the revision that the server has now.
  Result<std::optional<std::string>> fetch_revision(const HubSplit& split, const std::string& revision) {
    const auto folder = shelf_.revision_folder(split, revision);
    auto here = revision.empty() ? std::map<int64_t, Page>{} : Shelf::pages(folder);
    std::vector<Page> pages;
    bool all_said = true;
    bool from_cache = false;  // a page of an earlier fetch is among them
    int64_t next = 0;
    int64_t told_at = 0;
    int64_t length = page_rows;
    bool alone = false;  // the next row is asked for by itself: in a page its cells were cut
    std::optional<int64_t> total;
    while (!total || next < *total) {
      if (const auto page = here.find(next); page != here.end() && (!total || page->second.total == *total)) {
        from_cache = true;
        total = page->second.total;
        next += page->second.count;
        pages.push_back(page->second);
        continue;
      }
      const int64_t asked = alone ? 1 : length;
      AWM_TRY(auto page, hub_->rows(id_, split, next, asked));
      if (page.too_big) {
        if (asked == 1) return refused(next, "the server finds this row too big");
        length = std::max<int64_t>(1, length / 2);
        continue;
      }
      if (page.revision.empty() && revision.empty()) {
        return fail(Errc::protocol, "fetch", name_.name, "neither the Hub nor its server of rows says which revision",
                    "check HF_ENDPOINT and HF_DATASETS_SERVER");
      }
      if (!page.revision.empty() && page.revision != revision) return page.revision;
      all_said = all_said && !page.revision.empty();
      if (page.total > most_rows) {
        return fail(Errc::exhausted, "fetch", name_.name,
                    fmt::format("{} rows are more than fit ({} do)", page.total, most_rows));
      }
      if (total && page.total != *total && from_cache) {
        // Which of the two is wrong is not known: what an earlier fetch left does not count then.
        for (const auto& [first, old] : here) (void)sys::unlink(join_path(folder, old.file));
        here.clear();
        pages.clear();
        total.reset();
        next = 0;
        from_cache = false;
        continue;
      }
      if (total && page.total != *total) {
        for (const auto& fresh : pages) (void)sys::unlink(join_path(folder, fresh.file));
        return fail(Errc::protocol, "fetch", name_.name,
                    fmt::format("the server said {} rows, then {}, of one revision", *total, page.total),
                    "try again in some minutes");
      }
      total = page.total;
      if (page.rows.empty() && !page.cut.empty()) {
        if (asked == 1) return refused(next, "the server cuts its cells " + join(page.cut, ", "));
        alone = true;
        continue;
      }
      if (page.rows.empty()) {
        if (*total == 0) return fail(Errc::invalid_input, "fetch", name_.name, "no row is in it");
        return fail(Errc::protocol, "fetch", name_.name,
                    fmt::format("the server gives no rows from {} on, of {}", next, *total),
                    "try again in some minutes");
      }
      AWM_TRY(const auto put, Shelf::put(folder, next, *total, page.rows));
      pages.push_back(put);
      next += put.count;
      alone = !page.cut.empty();
      if (next / rows_a_line > told_at / rows_a_line && next < *total) {
        log_info(fmt::format("{}: {} of {} rows", title(), next, *total));
        told_at = next;
      }
    }
    if (!all_said) {
      // The server of rows did not say whose they are: the Hub does, before and after.
      AWM_TRY(const auto now, hub_->find(name_.name));
      if (now.revision != revision) return now.revision;
    }
    AWM_CHECK(shelf_.finish(split, revision, pages));
    found_ = {.revision = revision, .files = {}};
    for (const auto& page : pages) found_.files.push_back(join_path(folder, page.file));
    return std::nullopt;
  }

  [[nodiscard]] std::unexpected<Error> refused(int64_t row, std::string cause) const {
    return fail(Errc::unsupported, "fetch", fmt::format("{}, row {}", title(), row), std::move(cause),
                fmt::format("download its files from {}/datasets/{} and name a .jsonl of its rows",
                            url_for_people(settings_.hub), id_));
  }

  const HubName& name_;
  const std::string& split_;
  const std::string& wanted_;
  const HubSettings& settings_;
  Shelf shelf_;
  std::unique_ptr<Hub>& hub_;
  std::string id_;
  Found found_;
};

}  // namespace

Result<std::string> dataset_name(const std::string& given) {
  AWM_TRY(auto path, absolute_path(given));
  if (exists(path)) return path;
  const auto word = to_lower_ascii(given);
  std::vector<std::string> known;
  for (const auto& [alias, name] : aliases) {
    if (word == alias) return std::string(name);
    known.emplace_back(alias);
  }
  if (parse_hub_name(given)) return given;
  const bool bare = given.find_first_of("/.~") == std::string::npos;
  if (!bare) return path;
  const auto near = nearest_word(word, known);
  return fail(Errc::not_found, "read", given, "there is no such file or folder, and no data set is called so",
              near.empty() ? "name a .jsonl or .json file with SWE-bench rows, lite, verified, full, multilingual, "
                             "multimodal, or a data set of the Hugging Face Hub as OWNER/NAME"
                           : "did you mean " + near + "?");
}

Result<Datasets> read_datasets(const Scope& scope, const Stop& stop, const DatasetRequest& request) {
  Datasets datasets;
  std::vector<std::string> files;
  std::map<std::string, std::string> places;  // of rows, by their ids
  const auto add = [&](std::vector<Row> rows) -> Result<void> {
    for (auto& row : rows) {
      const auto [place, fresh] = places.emplace(row.instance_id, row.origin);
      if (!fresh) {
        return fail(Errc::invalid_input, "read", fmt::format("{}, {}", row.origin, row.instance_id),
                    fmt::format("the row is there twice; the first is at {}", place->second), "leave one of them out");
      }
      datasets.rows.push_back(std::move(row));
    }
    return {};
  };
  const auto add_files = [&]() -> Result<void> {
    if (files.empty()) return {};
    AWM_TRY(auto rows, read_rows(files));
    files.clear();
    return add(std::move(rows));
  };
  std::optional<HubSettings> settings;
  std::string cache;
  std::unique_ptr<Hub> hub;
  for (const auto& dataset : request.datasets) {
    const auto name = dataset.starts_with('/') ? std::nullopt : parse_hub_name(dataset);
    if (!name) {
      const auto tasks = harbor_tasks_in(dataset);
      if (tasks.empty()) {
        files.push_back(dataset);
        continue;
      }
      AWM_CHECK(add_files());
      for (const auto& task : tasks) {
        AWM_TRY(auto row, read_harbor_task(task));
        AWM_CHECK(add({std::move(row)}));
      }
      continue;
    }
    if (!settings) {
      AWM_TRY(settings, hub_settings_from_environment());
      AWM_TRY(cache, cache_folder());
    }
    const auto known = request.revisions.find(dataset);
    const std::string wanted = known == request.revisions.end() ? "" : known->second;
    AWM_TRY(auto found, NamedDataset(*name, request.split, wanted, *settings, cache, hub).find(scope, stop));
    datasets.revisions[dataset] = std::move(found.revision);
    files.insert(files.end(), std::make_move_iterator(found.files.begin()), std::make_move_iterator(found.files.end()));
  }
  hub.reset();
  AWM_CHECK(add_files());
  return datasets;
}

}  // namespace awm

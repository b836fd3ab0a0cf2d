// Data sets by name, from a Hub of the test's own that serves real rows and goes wrong in every way.
#include "run/datasets.h"

#include <array>
#include <cstdlib>

#include "base/text.h"
#include "hub_server.h"
#include "os/file.h"
#include "os/thread.h"
#include "run/hub.h"

namespace awm {
namespace {

using ::testing::AllOf;
using testing::change;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::HubServer;
using ::testing::Not;

const std::string owner = "SWE-bench";
const std::string lite = "SWE-bench/SWE-bench_Lite";
const std::string first_revision = "1111111111111111111111111111111111111111";
const std::string second_revision = "2222222222222222222222222222222222222222";

// The examples' rows, so often under ids of their own as are wanted.
std::vector<Json> real_rows(std::size_t count) {
  static const std::vector<Json> examples = [] {
    std::vector<Json> rows;
    const auto text = testing::read_text(std::string(AWM_SOURCE_DIR) + "/examples/tasks.jsonl");
    for (const auto line : split_lines(text)) {
      if (auto row = parse_json(line, "examples")) rows.push_back(*std::move(row));
    }
    return rows;
  }();
  std::vector<Json> rows;
  for (std::size_t i = 0; i < count && !examples.empty(); ++i) {
    rows.push_back(examples[i % examples.size()]);
    rows.back()["instance_id"] = "example__row-" + std::to_string(i);
  }
  return rows;
}

class DatasetsTest : public ::testing::Test {
 public:
  void SetUp() override {
    auto stop = Stop::create(scope_);
    ASSERT_TRUE(stop) << stop.error();
    stop_ = *std::move(stop);
    for (const auto* name : {"HF_DATASETS_SERVER", "HF_TOKEN", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"}) set(name, "");
    set("HF_ENDPOINT", server_.url());
    set("XDG_CACHE_HOME", folder_ / "cache");
    server_.at(first_revision);
  }
  void TearDown() override {
    for (const auto& name : names_) ::unsetenv(name.c_str());
  }

  void set(const std::string& name, const std::string& value) {
    names_.push_back(name);
    if (value.empty()) {
      ::unsetenv(name.c_str());
    } else {
      ::setenv(name.c_str(), value.c_str(), 1);
    }
  }

  Result<Datasets> read(const std::string& name, const std::string& split = "test",
                        std::map<std::string, std::string> revisions = {}) {
    return read_datasets(scope_, *stop_, {.datasets = {name}, .split = split, .revisions = std::move(revisions)});
  }
  // The ids of all rows, or what went wrong.
  std::vector<std::string> ids(const std::string& name, const std::string& split = "test") {
    const auto read_now = read(name, split);
    EXPECT_TRUE(read_now) << read_now.error();
    std::vector<std::string> ids;
    if (read_now) {
      for (const auto& row : read_now->rows) ids.push_back(row.instance_id);
    }
    return ids;
  }
  static std::vector<std::string> ids_of(const std::vector<Json>& rows) {
    std::vector<std::string> ids;
    for (const auto& row : rows) ids.push_back(string_or(row, "instance_id", ""));
    return ids;
  }
  std::string error(const std::string& name, const std::string& split = "test") {
    const auto read_now = read(name, split);
    return read_now ? "no error" : read_now.error().message();
  }
  // What the log says meanwhile.
  template <class Body>
  std::string said(Body&& body) {
    ::testing::internal::CaptureStderr();
    std::forward<Body>(body)();
    return ::testing::internal::GetCapturedStderr();
  }
  // The folder of a split in the cache.
  std::string shelf(const std::string& name = lite, const std::string& split = "test") {
    const auto host = server_.url().substr(server_.url().find("://") + 3);
    return folder_ / ("cache/awm/datasets/" + host + "/" + name + "/default/" + split);
  }
  std::vector<std::string> rows_asked() {
    auto lines = server_.asked();
    std::erase_if(lines, [](const std::string& line) { return !line.starts_with("GET /rows"); });
    return lines;
  }

  const Scope scope_{"test/datasets"};
  testing::TestFolder folder_;
  HubServer server_{scope_};
  std::unique_ptr<Stop> stop_;
  std::vector<std::string> names_;
};

TEST_F(DatasetsTest, NamesAreKnownAndPathsThatAreThereWin) {
  EXPECT_EQ(dataset_name("lite"), lite);
  EXPECT_EQ(dataset_name("Verified"), "SWE-bench/SWE-bench_Verified");
  EXPECT_EQ(dataset_name("full"), "SWE-bench/SWE-bench");
  EXPECT_EQ(dataset_name("multilingual"), "SWE-bench/SWE-bench_Multilingual");
  EXPECT_EQ(dataset_name("multimodal"), "SWE-bench/SWE-bench_Multimodal");
  EXPECT_EQ(dataset_name("swe-bench_lite"), lite);
  EXPECT_EQ(dataset_name("princeton-nlp/SWE-bench_Verified"), "princeton-nlp/SWE-bench_Verified");
  EXPECT_EQ(dataset_name("owner/name:config"), "owner/name:config");
  const auto here = folder_.write("lite/rows.jsonl", "");
  EXPECT_EQ(dataset_name(parent_path(here)), parent_path(here));
  EXPECT_EQ(dataset_name("/no/where/rows.jsonl"), "/no/where/rows.jsonl");
  const auto path = dataset_name("data/rows.jsonl");  // not there: a path all the same, by its ending
  ASSERT_TRUE(path);
  EXPECT_TRUE(path->starts_with('/')) << *path;
  const auto mistyped = dataset_name("verfied");
  ASSERT_FALSE(mistyped);
  EXPECT_EQ(mistyped.error().message(),
            "read verfied: there is no such file or folder, and no data set is called so (did you mean verified?)");
  EXPECT_THAT(dataset_name("zzzzzzzz").error().message(), HasSubstr("as OWNER/NAME"));
}

TEST_F(DatasetsTest, RowsComeByThePageOnceAndThenFromTheCache) {
  const auto rows = real_rows(230);
  server_.add(lite, "default", "test", rows);
  server_.add(lite, "default", "dev", real_rows(3));
  std::string file;
  for (const auto& row : rows) file += dump_json(row) + "\n";
  const auto local = read_rows({folder_.write("rows.jsonl", file)});
  ASSERT_TRUE(local) << local.error();

  const auto told = said([&] {
    const auto fetched = read(lite);
    ASSERT_TRUE(fetched) << fetched.error();
    EXPECT_EQ(hash_of(fetched->rows), hash_of(*local));
    EXPECT_EQ(fetched->revisions.at(lite), first_revision);
  });
  EXPECT_THAT(told, HasSubstr(lite + ", split test: 230 rows of revision 111111111111, fetched"));
  EXPECT_THAT(server_.asked(), ElementsAre("GET /api/datasets/" + lite, "GET /splits",
                                           "GET /rows config=default split=test offset=0 length=100",
                                           "GET /rows config=default split=test offset=100 length=100",
                                           "GET /rows config=default split=test offset=200 length=100"));
  const auto again = read(lite);
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(hash_of(again->rows), hash_of(*local));
  EXPECT_THAT(server_.asked(), ElementsAre("GET /api/datasets/" + lite));
  EXPECT_EQ(ids(lite, "dev").size(), 3U);
}

TEST_F(DatasetsTest, RowsOfThePublishedDataSetAreWhatTheFileSays) {
  REQUIRE_SHARED_DATA("swebench/lite.jsonl");
  std::vector<Json> rows;
  const auto path = testing::shared_data("swebench/lite.jsonl");
  const auto text = testing::read_text(path);
  for (const auto line : split_lines(text)) {
    auto row = parse_json(line, path);
    ASSERT_TRUE(row) << row.error();
    rows.push_back(*std::move(row));
  }
  server_.add(lite, "default", "test", std::move(rows));
  const auto local = read_rows({path});
  ASSERT_TRUE(local) << local.error();
  const auto fetched = read(lite);
  ASSERT_TRUE(fetched) << fetched.error();
  EXPECT_EQ(fetched->rows.size(), 300U);
  EXPECT_EQ(hash_of(fetched->rows), hash_of(*local));
}

TEST_F(DatasetsTest, SeveralAreReadInTheirOrder) {
  auto rows = real_rows(4);
  server_.add(lite, "default", "test", {rows[0], rows[1]});
  server_.add("princeton-nlp/other", "default", "test", {rows[3]});
  const auto file = folder_.write("rows.jsonl", dump_json(rows[2]) + "\n");
  const auto all = read_datasets(scope_, *stop_, {.datasets = {"princeton-nlp/other", file, lite}, .revisions = {}});
  ASSERT_TRUE(all) << all.error();
  ASSERT_EQ(all->rows.size(), 4U);
  EXPECT_EQ(all->rows[0].instance_id, "example__row-3");
  EXPECT_EQ(all->rows[1].instance_id, "example__row-2");
  EXPECT_EQ(all->revisions.size(), 2U);
  const auto twice = read_datasets(scope_, *stop_, {.datasets = {lite, lite}, .revisions = {}});
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().message(), HasSubstr("the row is there twice"));
}

TEST_F(DatasetsTest, ANewRevisionIsFetchedAndTheOldOneStaysForThoseWhoBeganWithIt) {
  server_.add(lite, "default", "test", real_rows(2));
  EXPECT_EQ(ids(lite).size(), 2U);
  server_.at(second_revision);
  const auto now = read(lite);
  ASSERT_TRUE(now) << now.error();
  EXPECT_EQ(now->revisions.at(lite), second_revision);
  server_.asked();
  const auto then = read(lite, "test", {{lite, first_revision}});
  ASSERT_TRUE(then) << then.error();
  EXPECT_EQ(then->revisions.at(lite), first_revision);
  EXPECT_TRUE(server_.asked().empty());
}

TEST_F(DatasetsTest, ARevisionThatChangesBetweenPagesBeginsAnewAndIsNeverMixed) {
  auto rows = real_rows(250);
  server_.add(lite, "default", "test", rows);
  // While page 2 is asked for, the data set changes: its rows have other ids from now on.
  server_.disturb([&](const HttpdRequest& request, std::size_t earlier, HttpdResponse& response) {
    if (request.path != "/rows" || earlier < 1) return;
    response.headers = {{"X-Revision", second_revision}};
    change(response, [](Json& json) {
      for (auto& one : json["rows"]) one["row"]["instance_id"] = string_or(one["row"], "instance_id", "") + "-new";
    });
  });
  const auto read_now = read(lite);
  ASSERT_TRUE(read_now) << read_now.error();
  EXPECT_EQ(read_now->revisions.at(lite), second_revision);
  ASSERT_EQ(read_now->rows.size(), 250U);
  for (const auto& row : read_now->rows) EXPECT_TRUE(row.instance_id.ends_with("-new")) << row.instance_id;
}

TEST_F(DatasetsTest, ARevisionThatNeverStaysIsGivenUp) {
  server_.add(lite, "default", "test", real_rows(250));
  server_.disturb([&](const HttpdRequest& request, std::size_t earlier, HttpdResponse& response) {
    if (request.path == "/rows") response.headers = {{"X-Revision", std::to_string(earlier)}};
  });
  EXPECT_THAT(error(lite), HasSubstr("its revision changed 4 times while its rows were fetched"));
  EXPECT_LT(server_.asked().size(), 12U);
}

TEST_F(DatasetsTest, TheRowsSayWhichRevisionTheyAreOfWhateverTheHubSays) {
  server_.add(lite, "default", "test", real_rows(2));
  server_.at(second_revision, first_revision);  // the Hub has a commit that its server of rows has not yet seen
  const auto read_now = read(lite);
  ASSERT_TRUE(read_now) << read_now.error();
  EXPECT_EQ(read_now->revisions.at(lite), first_revision);
  server_.asked();
  EXPECT_EQ(ids(lite).size(), 2U);
  EXPECT_EQ(rows_asked().size(), 1U);  // that they are still of the first; then they are here
}

TEST_F(DatasetsTest, ServersThatSayNoRevisionAreHeldAgainstTheHub) {
  server_.add(lite, "default", "test", real_rows(150));
  server_.at(first_revision, "");
  EXPECT_EQ(ids(lite).size(), 150U);
  // The Hub's changes under way.
  server_.at(second_revision, "");
  server_.disturb([&](const HttpdRequest& request, std::size_t earlier, HttpdResponse& response) {
    if (request.path.starts_with("/api/") && earlier >= 3)
      change(response, [](Json& json) { json["sha"] = std::string(40, '3'); });
  });
  const auto changed = read(lite);
  ASSERT_TRUE(changed) << changed.error();
  EXPECT_EQ(changed->revisions.at(lite), std::string(40, '3'));
  server_.disturb({});
  server_.at("", "");
  EXPECT_THAT(error(lite), HasSubstr("neither the Hub nor its server of rows says which revision"));
}

TEST_F(DatasetsTest, CutCellsAreNeverUsed) {
  server_.add(lite, "default", "test", real_rows(130));
  const auto cut = [](bool alone_too) {
    return [alone_too](const HttpdRequest& request, std::size_t, HttpdResponse& response) {
      if (request.path != "/rows") return;
      change(response, [&](Json& json) {
        if (json["rows"].size() == 1 && !alone_too) return;
        for (auto& one : json["rows"]) {
          if (one["row_idx"] != 42 && one["row_idx"] != 100) continue;
          one["row"]["patch"] = "diff --git a/x";
          one["truncated_cells"] = {"patch"};
        }
      });
    };
  };
  server_.disturb(cut(true));
  EXPECT_THAT(error(lite), AllOf(HasSubstr(lite + ", split test, row 42: the server cuts its cells patch"),
                                 HasSubstr("download its files from " + server_.url() + "/datasets/" + lite)));
  EXPECT_FALSE(exists(shelf() + "/latest"));
  // A row whose cells are cut in a page only is asked for by itself.
  server_.disturb(cut(false));
  server_.asked();
  const auto read_now = read(lite);
  ASSERT_TRUE(read_now) << read_now.error();
  ASSERT_EQ(read_now->rows.size(), 130U);
  for (const auto& row : read_now->rows) EXPECT_NE(row.patch, "diff --git a/x");
  EXPECT_THAT(rows_asked(), ElementsAre("GET /rows config=default split=test offset=42 length=100",
                                        "GET /rows config=default split=test offset=42 length=1",
                                        "GET /rows config=default split=test offset=43 length=100",
                                        "GET /rows config=default split=test offset=100 length=1",
                                        "GET /rows config=default split=test offset=101 length=100"));
}

TEST_F(DatasetsTest, PagesThatAreTooBigAreAskedForInSmallerOnes) {
  server_.add(lite, "default", "test", real_rows(60));
  const auto limit = [](std::size_t most) {
    return [most](const HttpdRequest& request, std::size_t, HttpdResponse& response) {
      if (request.path != "/rows") return;
      bool too_big = false;
      change(response, [&](const Json& json) { too_big = json["rows"].size() > most; });
      if (too_big) response = HubServer::error(500, "TooBigContentError", "Rows are too big.");
    };
  };
  server_.disturb(limit(0));
  EXPECT_THAT(error(lite), HasSubstr("row 0: the server finds this row too big"));
  server_.disturb(limit(25));
  EXPECT_EQ(ids(lite), ids_of(real_rows(60)));
}

TEST_F(DatasetsTest, WhatWasFetchedBeforeABreakIsNotFetchedAgain) {
  server_.add(lite, "default", "test", real_rows(250));
  server_.disturb([](const HttpdRequest&, std::size_t earlier, HttpdResponse& response) {
    if (earlier == 2) response = HubServer::error(404, "ResponseNotFound", "Not found.");
  });
  EXPECT_THAT(error(lite), HasSubstr("(HTTP 404): Not found."));
  server_.disturb({});
  server_.asked();
  EXPECT_EQ(ids(lite), ids_of(real_rows(250)));
  EXPECT_THAT(rows_asked(), ElementsAre("GET /rows config=default split=test offset=200 length=100"));
}

TEST_F(DatasetsTest, ACacheThatIsDamagedIsMendedAndNeverBelieved) {
  server_.add(lite, "default", "test", real_rows(250));
  EXPECT_EQ(ids(lite).size(), 250U);
  server_.asked();
  const auto folder = join_path(shelf(), first_revision);
  auto pages = sys::list_folder(folder);
  ASSERT_TRUE(pages) << pages.error();
  std::sort(pages->begin(), pages->end());
  ASSERT_EQ(pages->size(), 4U);  // and "complete"
  const auto page = join_path(folder, (*pages)[1]);
  auto text = testing::read_text(page);
  text.resize(text.size() / 2);
  testing::write_text(page, text);
  const auto told = said([&] { EXPECT_EQ(ids(lite), ids_of(real_rows(250))); });
  EXPECT_THAT(told, HasSubstr("is damaged; its rows are fetched again"));
  EXPECT_THAT(rows_asked(), ElementsAre("GET /rows config=default split=test offset=100 length=100"));
  testing::write_text(join_path(folder, "complete"), "../../../../../../rows.jsonl\n");
  EXPECT_EQ(ids(lite), ids_of(real_rows(250)));
}

TEST_F(DatasetsTest, WithoutTheHubTheCacheIsTakenAndThatIsSaid) {
  server_.add(lite, "default", "test", real_rows(2));
  EXPECT_EQ(ids(lite).size(), 2U);
  set("HF_HUB_OFFLINE", "1");
  server_.asked();
  auto told = said([&] { EXPECT_EQ(ids(lite), ids_of(real_rows(2))); });
  EXPECT_THAT(told, AllOf(HasSubstr("HF_HUB_OFFLINE"), HasSubstr("taken from the cache: 2 rows of revision 11111111")));
  EXPECT_TRUE(server_.asked().empty());
  EXPECT_THAT(error(lite, "dev"), HasSubstr("and the cache has no rows of " + lite + ", split dev (unset it)"));
  set("HF_HUB_OFFLINE", "");
  server_.close();
  told = said([&] {
    const auto offline = read(lite);
    ASSERT_TRUE(offline) << offline.error();
    EXPECT_EQ(offline->revisions.at(lite), first_revision);
  });
  EXPECT_THAT(told, AllOf(HasSubstr(server_.url() + " does not answer"),
                          HasSubstr("taken from the cache: 2 rows of revision 11111111")));
  EXPECT_THAT(error(lite, "dev"), AllOf(HasSubstr("does not answer"), HasSubstr("and the cache has no rows"),
                                        HasSubstr("check the network")));
}

TEST_F(DatasetsTest, AServerOfRowsThatFailsLeavesTheOlderRevision) {
  server_.add(lite, "default", "test", real_rows(2));
  EXPECT_EQ(ids(lite).size(), 2U);
  server_.at(second_revision);
  server_.disturb([](const HttpdRequest& request, std::size_t, HttpdResponse& response) {
    if (request.path == "/rows") {
      response = HubServer::error(429, "", "slow down");
      response.headers = {{"Retry-After", "7200"}};
    }
  });
  const auto told = said([&] {
    const auto older = read(lite);
    ASSERT_TRUE(older) << older.error();
    EXPECT_EQ(older->revisions.at(lite), first_revision);
  });
  EXPECT_THAT(told, AllOf(HasSubstr("asks to wait 2 h"), HasSubstr("taken from the cache: 2 rows of revision 111111")));
}

TEST_F(DatasetsTest, ConfigurationsAndSplitsAreChosenOrNamed) {
  const auto rows = real_rows(6);
  server_.add("a/several", "default", "test", {rows[0]});
  server_.add("a/several", "other", "test", {rows[1]});
  server_.add("a/one", "python", "test", {rows[2]});
  server_.add("a/one", "python", "dev", {rows[3]});
  server_.add("a/none", "x", "test", {rows[4]});
  server_.add("a/none", "y/../z", "test", {rows[5]});
  EXPECT_THAT(ids("a/several"), ElementsAre("example__row-0"));
  EXPECT_THAT(ids("a/several:other"), ElementsAre("example__row-1"));
  EXPECT_THAT(ids("a/one"), ElementsAre("example__row-2"));
  EXPECT_THAT(error("a/none"), HasSubstr("its split test is there in several configurations (name one: a/none:CONFIG"));
  EXPECT_THAT(ids("a/none:y/../z"), ElementsAre("example__row-5"));
  EXPECT_THAT(error("a/one", "tset"), HasSubstr("it has no split tset (use --split with one of: dev, test)"));
  EXPECT_THAT(error("a/one:java"), HasSubstr("its split test has no configuration java (name one of: python)"));
  // The same, from the cache.
  set("HF_HUB_OFFLINE", "1");
  EXPECT_THAT(ids("a/several"), ElementsAre("example__row-0"));
  EXPECT_THAT(ids("a/one"), ElementsAre("example__row-2"));
  EXPECT_THAT(ids("a/none:y/../z"), ElementsAre("example__row-5"));
}

TEST_F(DatasetsTest, OneThatTheServerStillPreparesIsNotTakenForOneWithoutSplits) {
  server_.add(lite, "default", "test", real_rows(2));
  server_.disturb([](const HttpdRequest& request, std::size_t, HttpdResponse& response) {
    if (request.path != "/splits") return;
    change(response, [](Json& json) {
      json["splits"] = Json::array();
      json["pending"] = {{{"dataset", lite}, {"config", "default"}}};
    });
  });
  EXPECT_THAT(error(lite), HasSubstr("the server of rows is still preparing this data set"));
}

TEST_F(DatasetsTest, SeveralMayFetchTheSameAtOnce) {
  server_.add(lite, "default", "test", real_rows(250));
  std::vector<Thread> threads;
  std::array<std::vector<std::string>, 4> found;
  for (auto& mine : found) {
    auto thread = Thread::start(scope_, "fetcher", [&] { mine = ids(lite); });
    ASSERT_TRUE(thread) << thread.error();
    threads.push_back(*std::move(thread));
  }
  threads.clear();
  for (const auto& mine : found) EXPECT_EQ(mine, ids_of(real_rows(250)));
  server_.asked();
  EXPECT_EQ(ids(lite), ids_of(real_rows(250)));
  EXPECT_TRUE(rows_asked().empty());
}

TEST_F(DatasetsTest, ARenamedDataSetIsFollowedButNotToAnotherServer) {
  server_.add(lite, "default", "test", real_rows(2));
  server_.rename("princeton-nlp/SWE-bench_Lite", lite);
  const auto told = said([&] { EXPECT_EQ(ids("princeton-nlp/SWE-bench_Lite").size(), 2U); });
  EXPECT_THAT(told, HasSubstr("princeton-nlp/SWE-bench_Lite is " + lite + " now"));
  server_.rename("a/circle", "a/circle");
  EXPECT_THAT(error("a/circle"), HasSubstr("it leads in a circle"));
  server_.disturb([](const HttpdRequest&, std::size_t, HttpdResponse& response) {
    response.status = 307;
    response.headers = {{"Location", "https://elsewhere.example/api/datasets/x/y?token=1"}};
  });
  EXPECT_THAT(error(lite), HasSubstr("it names another server: https://elsewhere.example/api/datasets/x/y"));
}

TEST_F(DatasetsTest, TheTokenGoesToTheHubAndNowhereElse) {
  const std::string token = "hf_abcdefghijklmnopqrstuvwxyz";
  server_.add(lite, "default", "test", real_rows(2));
  set("HF_TOKEN", token + "\n");
  auto told = said([&] { EXPECT_EQ(ids(lite).size(), 2U); });
  EXPECT_THAT(server_.authorizations(), Each("Bearer " + token));
  server_.disturb([&](const HttpdRequest&, std::size_t, HttpdResponse& response) {
    response = HubServer::error(403, "", "Access to dataset is restricted.");
  });
  told += said([&] {
    EXPECT_THAT(error(lite), AllOf(HasSubstr("the Hub refuses it (HTTP 403): Access to dataset is restricted."),
                                   HasSubstr("ask for access at " + server_.url() + "/datasets/" + lite)));
  });
  server_.disturb([&](const HttpdRequest&, std::size_t, HttpdResponse& response) {
    response = HubServer::error(401, "", "Invalid credentials");
  });
  told += said([&] { told += error(lite); });
  EXPECT_THAT(told, AllOf(HasSubstr("the token of HF_TOKEN is refused (HTTP 401)"), Not(HasSubstr(token))));
  set("HF_TOKEN", "hf_abc def");
  EXPECT_THAT(error(lite), AllOf(HasSubstr("HF_TOKEN: the token has white space"), Not(HasSubstr("hf_abc"))));
}

TEST_F(DatasetsTest, NamesThatTheHubDoesNotHaveAreTold) {
  EXPECT_THAT(error("SWE-bench/SWE-bench_Lit"),
              AllOf(HasSubstr("fetch SWE-bench/SWE-bench_Lit: there is no such file or folder here, and the Hub has no "
                              "such data set"),
                    HasSubstr("check the name; for a private or gated one export HF_TOKEN")));
  set("HF_ENDPOINT", "ftp://user:secret@hub");
  EXPECT_THAT(error(lite), AllOf(HasSubstr("read environment variable HF_ENDPOINT: it is no address of a web server"),
                                 Not(HasSubstr("secret"))));
}

TEST_F(DatasetsTest, AnswersThatMakeNoSenseAreRefused) {
  server_.add(lite, "default", "test", real_rows(120));
  const struct {
    std::function<void(Json&)> how;
    std::string words;
  } cases[] = {
      {[](Json& json) { json.erase("rows"); }, "it has no list of rows"},
      {[](Json& json) { json["rows"] = "none"; }, "it has no list of rows"},
      {[](Json& json) { json.erase("num_rows_total"); }, "it does not say how many rows there are"},
      {[](Json& json) { json["num_rows_total"] = -1; }, "it does not say how many rows there are"},
      {[](Json& json) { json["num_rows_total"] = 5'000'000; }, "5000000 rows are more than fit"},
      {[](Json& json) {
         json["num_rows_total"] = 0;
         json["rows"] = Json::array();
       },
       "no row is in it"},
      {[](Json& json) { json["rows"][7]["row_idx"] = 8; }, "row 7 is not where it belongs"},
      {[](Json& json) { json["rows"][7]["row"] = "text"; }, "row 7 is not where it belongs"},
      {[](Json& json) { json["rows"][7].erase("truncated_cells"); }, "it does not say whether cells of row 7 are cut"},
      {[](Json& json) { json["rows"].push_back(json["rows"][0]); }, "it has more rows than were asked for"},
      {[](Json& json) { json["partial"] = true; }, "the server has only a part of its rows"},
      {[](Json& json) { json = Json::array({json}); }, "the server's answer is no JSON object"},
  };
  for (const auto& [how, words] : cases) {
    server_.disturb([&](const HttpdRequest& request, std::size_t, HttpdResponse& response) {
      if (request.path == "/rows") change(response, how);
    });
    EXPECT_THAT(error(lite), HasSubstr(words));
  }
  server_.disturb([&](const HttpdRequest& request, std::size_t, HttpdResponse& response) {
    if (request.path == "/rows") response.body = "<html>Sign in to the hotel's network</html>";
  });
  EXPECT_THAT(error(lite), AllOf(HasSubstr("the server's answer is no JSON"), HasSubstr("check HF_ENDPOINT")));
  server_.disturb([&](const HttpdRequest& request, std::size_t earlier, HttpdResponse& response) {
    if (request.path == "/rows" && earlier % 2 == 1) change(response, [](Json& json) { json["num_rows_total"] = 121; });
  });
  EXPECT_THAT(error(lite), HasSubstr("of one revision (try again in some minutes)"));
  // And such pages are not kept.
  EXPECT_THAT(error(lite), HasSubstr("of one revision (try again in some minutes)"));
  server_.disturb([&](const HttpdRequest& request, std::size_t, HttpdResponse& response) {
    if (request.path == "/rows" && request.query[3].second != "0")
      change(response, [](Json& json) { json["rows"] = Json::array(); });
  });
  EXPECT_THAT(error(lite), HasSubstr("the server gives no rows from 100 on, of 120"));
  // A page that said another total, and lies in the cache, does not stand in the way of the right ones.
  server_.disturb([&](const HttpdRequest& request, std::size_t, HttpdResponse& response) {
    if (request.path == "/rows" && request.query[3].second != "0") {
      change(response, [](Json& json) { json["num_rows_total"] = 119; });
    }
  });
  EXPECT_THAT(error(lite), HasSubstr("of one revision"));
  server_.disturb({});
  EXPECT_EQ(ids(lite), ids_of(real_rows(120)));
}

class HubTest : public DatasetsTest {
 public:
  std::unique_ptr<Hub> open() {
    auto settings = hub_settings_from_environment();
    EXPECT_TRUE(settings) << settings.error();
    settings->first_wait = Seconds(0.001);
    auto hub = Hub::open(scope_, *stop_, *settings);
    EXPECT_TRUE(hub) << hub.error();
    return *std::move(hub);
  }
};

TEST_F(HubTest, FailuresThatMayPassAreAskedAgain) {
  server_.add(lite, "default", "test", real_rows(2));
  for (const int status : {500, 502, 503, 504, 429, 408}) {
    std::size_t asked = 0;
    server_.disturb([&](const HttpdRequest&, std::size_t, HttpdResponse& response) {
      if (++asked < 5) {
        response = HubServer::error(status, "ResponseNotReady", "The server is busier than usual.");
        response.headers.emplace_back("Retry-After", "0");
      }
    });
    const auto found = open()->find(lite);
    ASSERT_TRUE(found) << found.error();
    EXPECT_EQ(found->revision, first_revision);
    EXPECT_EQ(asked, 5U) << status;
  }
  std::size_t asked = 0;
  server_.disturb([&](const HttpdRequest&, std::size_t, HttpdResponse& response) {
    if (++asked < 3) response.cut_after = 10;
  });
  EXPECT_TRUE(open()->find(lite));
  EXPECT_EQ(asked, 3U);
}

TEST_F(HubTest, FailuresThatStayAreTold) {
  server_.add(lite, "default", "test", real_rows(2));
  std::size_t asked = 0;
  const auto always = [&](int status) {
    asked = 0;
    server_.disturb([&asked, status](const HttpdRequest&, std::size_t, HttpdResponse& response) {
      ++asked;
      response = HubServer::error(status, "", "The words of the server.");
    });
    const auto found = open()->find(lite);
    return found ? "no error" : found.error().message();
  };
  EXPECT_EQ(always(500), "fetch " + lite + ": " + server_.url() +
                             " failed (HTTP 500): The words of the server.; after 5 tries (try again in some minutes)");
  EXPECT_EQ(asked, 5U);
  EXPECT_EQ(always(429), "fetch " + lite + ": " + server_.url() +
                             " wants fewer requests (HTTP 429): The words of the server.; after 5 tries (wait some "
                             "minutes, or export HF_TOKEN=…: a token may ask more often)");
  EXPECT_EQ(asked, 5U);
  EXPECT_THAT(always(501), HasSubstr("the server has no rows of this data set (HTTP 501)"));
  EXPECT_EQ(asked, 1U);
  EXPECT_THAT(always(418), HasSubstr("the server's answer makes no sense (HTTP 418)"));
}

TEST_F(HubTest, AStopEndsAnExchangeAndAWaitAtOnce) {
  server_.add(lite, "default", "test", real_rows(2));
  constexpr auto long_time = std::chrono::minutes(10);
  const std::vector<HubServer::Disturb> hangs{
      [&](const HttpdRequest&, std::size_t, HttpdResponse& response) { response.delay = long_time; },
      [&](const HttpdRequest&, std::size_t, HttpdResponse& response) {
        response = HubServer::error(503, "", "later");
        response.headers = {{"Retry-After", "299"}};
      }};
  for (const auto& hang : hangs) {
    auto stop = Stop::create(scope_);
    ASSERT_TRUE(stop) << stop.error();
    stop_ = *std::move(stop);
    server_.disturb(hang);
    server_.asked();
    auto thread = Thread::start(scope_, "stopper", [&] {
      EXPECT_TRUE(testing::eventually([&] { return !server_.asked().empty(); }));
      stop_->request(StopLevel::drain);
    });
    ASSERT_TRUE(thread) << thread.error();
    const auto stopped = read(lite);
    thread->join();
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, Errc::stopped);
  }
}

TEST_F(HubTest, AddressesFollowTheEnvironment) {
  const auto rows_of = [&](const std::string& endpoint) {
    set("HF_ENDPOINT", endpoint);
    const auto settings = hub_settings_from_environment();
    return settings ? settings->rows : settings.error().message();
  };
  EXPECT_EQ(rows_of(""), "https://datasets-server.huggingface.co");
  EXPECT_EQ(rows_of("https://hub.example:8443/"), "https://datasets-server.hub.example:8443");
  EXPECT_EQ(rows_of("http://10.0.0.7:80"), "http://10.0.0.7:80");
  EXPECT_EQ(rows_of("http://localhost:8080"), "http://localhost:8080");
  set("HF_DATASETS_SERVER", "https://rows.example/");
  EXPECT_EQ(rows_of("https://hub.example"), "https://rows.example");
  EXPECT_THAT(rows_of("hub.example"), HasSubstr("it is no address of a web server"));
}

}  // namespace
}  // namespace awm

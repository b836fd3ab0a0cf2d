// Data sets by name through the real program, from a Hub of the test's own that serves the examples' rows.
#include <csignal>

#include "rows.h"
#include "run/hub_server.h"

namespace awm::e2e {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::HubServer;
using ::testing::Not;

const std::string name = "SWE-bench/SWE-bench_Lite";
const std::string first_revision(40, '1');
const std::string second_revision(40, '2');
const std::string task = "example__textkit-1";

class NamedDatasets : public ::testing::Test {
 public:
  void SetUp() override {
    hub_.at(first_revision);
    hub_.add(name, "default", "test", read_lines(source("examples/tasks.jsonl")));
    bench_.set("HF_ENDPOINT", hub_.url());
    bench_.set("HF_TOKEN", token_);
  }
  // awm eval of a data set's own patches.
  ProcessOutput eval(const std::string& dataset, std::vector<std::string> more = {}) {
    std::vector<std::string> argv{program(),   "eval",  dataset,        "--gold",
                                  "--sandbox", "local", "--repos",      bench_.folder() / "repos",
                                  "--run-id",  "r",     "--output-dir", bench_.folder() / "out",
                                  "-i",        task};
    argv.insert(argv.end(), more.begin(), more.end());
    return bench_.process(std::move(argv));
  }
  Json json_of(const std::string& file) {
    const auto path = bench_.folder() / file;
    return parse_json(testing::read_text(path), path).value_or(Json());
  }

  Bench bench_;
  HubServer hub_{scope()};
  const std::string token_ = "hf_0123456789abcdefghij";
};

TEST_F(NamedDatasets, AreEvaluatedByTheirShortNamesAndThenWithoutTheHub) {
  const auto output = eval("lite");
  EXPECT_EQ(output.status, ExitStatus::exited(0)) << output.output;
  EXPECT_THAT(output.output, AllOf(HasSubstr(name + ", split test: 9 rows of revision 111111111111, fetched"),
                                   HasSubstr("gold, run r: 1 of 1 submitted are resolved"), Not(HasSubstr(token_))));
  EXPECT_EQ(json_of("out/gold.r.json")["resolved_ids"], Json::array({task}));
  EXPECT_EQ(string_or(json_of("out/logs/run_evaluation/r/run.json"), "dataset", ""), name);
  EXPECT_EQ(json_of("out/logs/run_evaluation/r/awm.json")["dataset_revisions"], Json({{name, first_revision}}));

  hub_.close();
  const auto offline = eval(name);
  EXPECT_EQ(offline.status, ExitStatus::exited(0)) << offline.output;
  EXPECT_THAT(offline.output,
              AllOf(HasSubstr(hub_.url() + " does not answer"),
                    HasSubstr("taken from the cache: 9 rows of revision 111111111111"), HasSubstr("(judged before)")));
  const auto regraded =
      bench_.process({program(), "eval", name, "--regrade", "r", "--output-dir", bench_.folder() / "out", "-i", task});
  EXPECT_EQ(regraded.status, ExitStatus::exited(0)) << regraded.output;
  EXPECT_THAT(regraded.output, HasSubstr("1 logs graded again"));
}

TEST_F(NamedDatasets, ARunGoesOnWithTheRevisionThatItBeganWith) {
  auto outcome = bench_.run_on("Lite", {"--gold", "--limit", "1"});
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  ASSERT_FALSE(outcome.journal.empty());
  EXPECT_EQ(outcome.journal[0]["dataset_revisions"], Json({{name, first_revision}}));
  EXPECT_EQ(outcome.journal[0]["settings"]["dataset"], Json::array({name}));
  const auto config = parse_json(testing::read_text(outcome.folder + "/config.json"), "config.json");
  ASSERT_TRUE(config) << config.error();
  EXPECT_EQ(string_or(*config, "dataset_name", ""), name);

  // Meanwhile the data set changes.
  hub_.at(second_revision);
  hub_.disturb([](const HttpdRequest& request, std::size_t, HttpdResponse& response) {
    if (request.path == "/rows") testing::change(response, [](Json& json) { json["rows"].erase(0); });
  });
  hub_.asked();
  outcome =
      Bench::read(bench_.process({program(), "run", "--resume-from", outcome.folder, "--limit", "2"}), outcome.folder);
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  EXPECT_EQ(outcome.results.size(), 2U);
  EXPECT_TRUE(hub_.asked().empty());
  // The same name given again, in another spelling, is the same data set.
  outcome = Bench::read(
      bench_.process({program(), "run", "--resume-from", outcome.folder, "--limit", "3", "--dataset", "lite"}),
      outcome.folder);
  EXPECT_EQ(outcome.status, ExitStatus::exited(0)) << outcome.output;
  EXPECT_EQ(outcome.results.size(), 3U);
}

TEST_F(NamedDatasets, APathThatIsThereWins) {
  const auto rows = write_rows(bench_.folder() / "lite", {});
  const auto output = eval("lite");
  EXPECT_EQ(output.status, ExitStatus::exited(2)) << output.output;
  EXPECT_THAT(output.output, HasSubstr(rows + ": its name ends neither in .jsonl nor in .json"));
  EXPECT_TRUE(hub_.asked().empty());
}

TEST_F(NamedDatasets, MistakesAreToldBeforeAnythingIsBegun) {
  const struct {
    std::vector<std::string> argv;
    std::string words;
  } cases[] = {
      {{"verifed"},
       "read verifed: there is no such file or folder, and no data set is called so (did you mean verified?)"},
      {{"SWE-bench/none"},
       "fetch SWE-bench/none: there is no such file or folder here, and the Hub has no such data set"},
      {{name, "--split", "dev"}, "fetch " + name + ": it has no split dev (use --split with one of: test)"},
      {{name + ":x"}, "its split test has no configuration x (name one of: default)"},
  };
  for (const auto& [argv, words] : cases) {
    // Without a token: what is private looks like what is not there.
    bench_.set("HF_TOKEN", "");
    auto output = eval(argv[0], {argv.begin() + 1, argv.end()});
    EXPECT_EQ(output.status, ExitStatus::exited(2)) << output.output;
    EXPECT_THAT(output.output, HasSubstr(words));
    auto more = std::vector<std::string>(argv.begin() + 1, argv.end());
    more.emplace_back("--gold");
    const auto outcome = bench_.run_on(argv[0], more);
    EXPECT_EQ(outcome.status, ExitStatus::exited(2)) << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr(words));
    EXPECT_FALSE(exists(outcome.folder));
  }
  hub_.disturb([](const HttpdRequest& request, std::size_t, HttpdResponse& response) {
    if (request.path == "/rows") {
      testing::change(response, [](Json& json) {
        for (auto& one : json["rows"]) {
          if (one["row_idx"] == 2) one["truncated_cells"] = {"test_patch"};
        }
      });
    }
  });
  const auto cut = eval(name);
  EXPECT_EQ(cut.status, ExitStatus::exited(1)) << cut.output;
  EXPECT_THAT(cut.output, HasSubstr("row 2: the server cuts its cells test_patch (download its files from"));
  EXPECT_FALSE(exists(bench_.folder() / "out"));
}

TEST_F(NamedDatasets, OneSignalEndsAFetch) {
  hub_.disturb([](const HttpdRequest& request, std::size_t, HttpdResponse& response) {
    if (request.path == "/rows") response.delay = std::chrono::minutes(10);
  });
  auto child = bench_.spawner().spawn(scope(), {.argv = {program(), "eval", "lite", "--gold", "--sandbox", "local",
                                                         "--repos", bench_.folder() / "repos"},
                                                .environment = bench_.environment(),
                                                .folder = bench_.folder().path()});
  ASSERT_TRUE(child) << child.error();
  EXPECT_TRUE(testing::eventually([&] {
    const auto asked = hub_.asked();
    return std::any_of(asked.begin(), asked.end(), [](const std::string& one) { return one.starts_with("GET /rows"); });
  }));
  EXPECT_TRUE(child->signal(SIGINT));
  const auto ended = child->wait(Deadline::in(Seconds{60}));
  ASSERT_TRUE(ended) << ended.error();
  EXPECT_EQ(*ended, ExitStatus::exited(130));
}

TEST_F(NamedDatasets, DoctorReadsThem) {
  const auto output = bench_.process({program(), "doctor", "--sandbox", "local", "--dataset", "lite", "--model",
                                      "openai/x", "--base-url", hub_.url()});
  EXPECT_THAT(output.output, HasSubstr("lite: 9 rows"));
}

}  // namespace
}  // namespace awm::e2e

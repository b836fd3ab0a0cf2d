#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <random>
#include <tuple>

#include "base/json.h"
#include "base/text.h"
#include "llm/chat.h"
#include "llm/info.h"
#include "llm/provider.h"
#include "llm/retry.h"
#include "llm/shared.h"
#include "llm/text_tools.h"
#include "os/file.h"
#include "os/log.h"
#include "os/sys.h"

namespace awm {
namespace {

constexpr double default_try_limit = 1200;   // seconds: reasoning models think long
constexpr double stream_quiet_limit = 300;   // seconds without a byte: streams have a pulse
constexpr std::size_t shortest_secret = 8;   // "ollama", "EMPTY": no secrets
constexpr int most_uncounted_tries = 60;     // with the longest wait by default, an hour
constexpr int most_refused_parameters = 16;  // learnt in one call

std::string default_completions_folder() {
  return "logs/completions";
}

std::string file_part(std::string_view text) {
  std::string part;
  for (const char c : text.substr(0, 80)) {
    const bool plain =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '.';
    part += plain ? c : '_';
  }
  return part;
}

class HttpLlm final : public Llm {
 public:
  HttpLlm(const LlmConfig& config, Endpoint endpoint, std::shared_ptr<const ChatParameters> parameters,
          std::vector<std::string> keys, HttpClient& http, const Stop& stop, const Scope& scope)
      : config_(config),
        endpoint_(std::move(endpoint)),
        parameters_(std::move(parameters)),
        keys_(std::move(keys)),
        stop_(stop),
        session_(http.open_session(scope)) {
    policy_.tries = std::max(1, config.num_retries);
    policy_.min_wait = Seconds(static_cast<double>(config.retry_min_wait));
    policy_.max_wait = Seconds(static_cast<double>(config.retry_max_wait));
    policy_.multiplier = config.retry_multiplier;
  }
  ~HttpLlm() override { close(); }
  HttpLlm(const HttpLlm&) = delete;
  HttpLlm& operator=(const HttpLlm&) = delete;

  LlmResult complete(const CompletionRequest& request) override;
  [[nodiscard]] const std::string& model() const override { return config_.model; }
  [[nodiscard]] ModelInfo info() override;
  [[nodiscard]] LlmTotals totals() const override {
    const std::lock_guard lock(mutex_);
    return totals_;
  }
  void close() noexcept override {
    closed_.store(true);
    session_->close();
  }

 private:
  // One exchange with one key. The error of the exchange itself is told apart from the server's refusal.
  ChatResult try_once(const std::string& body, bool stream, const std::string& key, const CompletionRequest& request,
                      Seconds& latency);
  std::optional<LlmError> stopped(int tries) const;
  LlmError error_of(CallFailure failure, int tries) const;
  CallFailure failure_of(const Error& error) const;
  void tell_retry(const LlmRetry& retry) const noexcept;
  void price(Completion& completion);
  void log_completion(const std::string& body, const LlmResult& result, const CompletionRequest& request) const;
  [[nodiscard]] std::string who() const { return config_.model + " at " + url_for_people(endpoint_.service.base_url); }
  // Nothing that a server or a library says may show a key.
  [[nodiscard]] std::string without_keys(std::string text) const;
  [[nodiscard]] std::string key_words() const;

  const LlmConfig config_;
  const Endpoint endpoint_;
  const std::shared_ptr<const ChatParameters> parameters_;
  const std::vector<std::string> keys_;  // one "" where no key is needed
  const Stop& stop_;
  const std::unique_ptr<HttpSession> session_;
  RetryPolicy policy_;
  std::atomic<bool> closed_{false};
  mutable std::mutex mutex_;
  LlmTotals totals_;
};

std::string HttpLlm::without_keys(std::string text) const {
  for (const auto& key : keys_) {
    if (key.size() >= shortest_secret) text = replace_all(std::move(text), key, "***");
  }
  return hide_secrets(text);
}

std::string HttpLlm::key_words() const {
  if (!config_.key_source.empty()) return config_.key_source;
  if (!config_.api_keys.empty()) return "api_key of [" + config_.name + "]";
  if (!endpoint_.service.key_variable.empty()) return endpoint_.service.key_variable;
  return "api_key";
}

std::optional<LlmError> HttpLlm::stopped(int tries) const {
  if (closed_.load()) {
    return LlmError{
        .kind = LlmFailure::stopped,
        .error = {.code = Errc::closed, .operation = "ask", .object = who(), .cause = "this model was closed"},
        .attempts = tries};
  }
  if (stop_.cancelled())
    return LlmError{.kind = LlmFailure::stopped, .error = stopped_error("ask", who()), .attempts = tries};
  return std::nullopt;
}

CallFailure HttpLlm::failure_of(const Error& error) const {
  CallFailure failure{.kind = LlmFailure::network, .words = error.cause, .again = true};
  switch (error.code) {
    case Errc::invalid_input:
      failure.kind = LlmFailure::bad_request;
      failure.again = false;
      break;
    case Errc::protocol:
      failure.kind = LlmFailure::malformed;
      break;
    case Errc::exhausted:
      failure.words = error.message();
      break;
    default:
      break;
  }
  return failure;
}

LlmError HttpLlm::error_of(CallFailure failure, int tries) const {
  LlmError result{.kind = failure.kind, .error = {}, .context_limit = failure.context_limit, .attempts = tries};
  Error& error = result.error;
  error.operation = "ask";
  error.object = who();
  error.http_status = failure.status;
  std::string_view said;
  switch (failure.kind) {
    case LlmFailure::authentication:
      error.code = Errc::permission;
      said = "the key is refused";
      error.remedy = keys_.front().empty() ? "give a key: --api-key-env, or api_key in the model's section"
                                           : "check the key of " + key_words();
      break;
    case LlmFailure::rate_limit:
      error.code = Errc::exhausted;
      said = "the rate limit is reached";
      error.remedy = "wait, raise num_retries or retry_max_wait, or name several keys with --api-key-env A,B";
      break;
    case LlmFailure::context_window:
      error.code = Errc::exhausted;
      said = "the messages do not fit the model's context window";
      break;
    case LlmFailure::content_refused:
      error.code = Errc::permission;
      said = "the provider's filter refused the content";
      break;
    case LlmFailure::bad_request:
      error.code = Errc::invalid_input;
      said = "the server refuses the request";
      break;
    case LlmFailure::no_such_model:
      error.code = Errc::not_found;
      said = "there is no such model";
      error.remedy = "check the model's name and base_url";
      break;
    case LlmFailure::out_of_credit:
      error.code = Errc::exhausted;
      said = "no quota or credit is left";
      error.remedy = "add credit at the provider, or use another key";
      break;
    case LlmFailure::server:
      error.code = Errc::unavailable;
      said = "the server failed";
      break;
    case LlmFailure::network:
      error.code = Errc::unavailable;
      said = "no answer came";
      error.remedy = endpoint_.loopback ? "check that the server runs there" : "check the network and base_url";
      break;
    case LlmFailure::malformed:
      error.code = Errc::protocol;
      said = "the answer makes no sense";
      error.remedy = "check base_url: is this a chat completions API?";
      break;
    case LlmFailure::stopped:
      error.code = Errc::stopped;
      said = "stopped";
      break;
  }
  error.cause = said;
  if (failure.status != 0) error.cause += fmt::format(" (HTTP {})", failure.status);
  if (!failure.words.empty()) error.cause += ": " + without_keys(std::move(failure.words));
  if (tries > 1) error.cause += fmt::format("; after {} tries", tries);
  return result;
}

ChatResult HttpLlm::try_once(const std::string& body, bool stream, const std::string& key,
                             const CompletionRequest& request, Seconds& latency) {
  const double limit = config_.timeout > 0 ? static_cast<double>(config_.timeout) : default_try_limit;
  HttpRequest exchange;
  exchange.method = "POST";
  exchange.url = endpoint_.chat_url;
  exchange.headers = key_headers(endpoint_, key);
  exchange.headers.emplace_back("Content-Type: application/json");
  exchange.headers.insert(exchange.headers.end(), endpoint_.headers.begin(), endpoint_.headers.end());
  exchange.headers.insert(exchange.headers.end(), parameters_->headers().begin(), parameters_->headers().end());
  if (endpoint_.loopback) {
    // For servers of this machine alone, which may tell calls apart by it; nobody else is told what is worked on.
    exchange.headers.push_back("X-Awm-Purpose: " + request.purpose);
    if (!request.sample_id.empty()) exchange.headers.push_back("X-Awm-Sample: " + request.sample_id);
  }
  exchange.body = body;
  exchange.deadline = Deadline::in(Seconds(limit));
  exchange.connect_limit = Seconds(std::min(limit, 30.0));
  ChatStream pieces;
  if (stream) {
    exchange.quiet_limit = Seconds(std::min(limit, stream_quiet_limit));
    exchange.on_data = [&](std::string_view bytes) { return pieces.take(bytes); };
  }
  const auto began = Clock::now();
  auto response = session_->send(exchange);
  latency = Seconds(Clock::now() - began);
  if (!response) {
    const Errc code = response.error().code;
    const bool ours = code == Errc::closed || code == Errc::stopped;
    // All of it was there; that the server did not end the exchange is not worth losing it.
    if (stream && !ours && pieces.complete()) return pieces.finish({});
    CallFailure failure = failure_of(response.error());
    if (ours) failure = {.kind = LlmFailure::stopped, .words = {}};
    return std::unexpected(std::move(failure));
  }
  if (response->status < 200 || response->status >= 300) {
    return std::unexpected(failure_of_answer(response->status, response->headers, response->body));
  }
  return stream ? pieces.finish(*response) : read_chat(*response);
}

LlmResult HttpLlm::complete(const CompletionRequest& request) {
  LlmShared& shared = *config_.shared;
  const bool stream = config_.stream.value_or(false);
  auto refused = shared.refused_parameters();
  std::string body = parameters_->body(request, stream, refused);
  std::minstd_rand random(static_cast<unsigned>(Clock::now().time_since_epoch().count()));
  std::set<std::size_t> had_enough;  // keys at their limit since the last wait
  int tries = 0;
  int uncounted = 0;
  int learnt = 0;
  std::optional<double> warmer;
  std::vector<uint64_t> answers;  // of each key, when this call last looked
  answers.reserve(keys_.size());
  for (const auto& key : keys_) answers.push_back(shared.answers(key));
  const auto chance = [&] { return std::uniform_real_distribution<double>(0, 1)(random); };
  const auto give_back = [&](LlmResult result) {
    {
      const std::lock_guard lock(mutex_);
      totals_.retries += std::max(0, tries - 1);
    }
    if (config_.log_completions) log_completion(body, result, request);
    return result;
  };

  for (;;) {
    if (auto end = stopped(tries)) return give_back(std::unexpected(std::move(*end)));
    auto choice = shared.choose(keys_, had_enough);
    if (!choice) {
      had_enough.clear();
      choice = shared.choose(keys_, had_enough);
    }
    if (!choice) {
      return give_back(std::unexpected(error_of(
          {.kind = LlmFailure::authentication, .words = "every key has been refused or is out of credit"}, tries)));
    }
    if (const auto now = Clock::now(); choice->free_at > now) {
      // All who wait for a key wait for the same moment: they come back one by one, not at once.
      const Seconds more = Seconds(choice->free_at - now) * (0.25 * chance());
      const auto until = choice->free_at + std::chrono::duration_cast<Clock::duration>(more);
      if (!session_->sleep_until(Deadline::at(until))) continue;  // stopped() tells
      had_enough.clear();
      // Another call may have made it wait longer meanwhile.
      continue;
    }
    const std::string& key = keys_[choice->index];
    ++tries;
    Seconds latency{0};
    shared.begin_call(key);
    auto answer = try_once(body, stream, key, request, latency);
    shared.end_call(key, answer.has_value());

    if (answer) {
      // What was cut off is no call: half a command or half a file would be taken for the whole.
      if (config_.native_tool_calling == false && !request.tools.empty() && answer->message.tool_calls.empty() &&
          answer->finish_reason != "length" && take_call_from_text(answer->message, request.tools, answer->id)) {
        answer->finish_reason = "tool_calls";
      }
      answer->latency = latency;
      answer->attempts = tries;
      price(*answer);
      {
        const std::lock_guard lock(mutex_);
        ++totals_.calls;
        totals_.cost += answer->cost;
        totals_.usage += answer->usage;
      }
      return give_back(*std::move(answer));
    }

    CallFailure& failure = answer.error();
    if (failure.kind == LlmFailure::stopped) {
      if (auto end = stopped(tries)) return give_back(std::unexpected(std::move(*end)));
      return give_back(std::unexpected(LlmError{
          .kind = LlmFailure::stopped,
          .error = {.code = Errc::closed, .operation = "ask", .object = who(), .cause = "the HTTP client was closed"},
          .attempts = tries}));
    }
    if (!failure.refused_parameter.empty() && config_.drop_params && !refused.contains(failure.refused_parameter) &&
        learnt < most_refused_parameters) {
      // Nothing was done yet: this is no try.
      ++learnt;
      --tries;
      if (shared.refuse_parameter(failure.refused_parameter)) {
        log_info(
            fmt::format("{} does not take {}: it is left out from now on", config_.model, failure.refused_parameter));
      }
      refused = shared.refused_parameters();
      body = parameters_->body(request, stream, refused, warmer);
      continue;
    }
    const bool key_is_bad = failure.kind == LlmFailure::authentication || failure.kind == LlmFailure::out_of_credit;
    if (key_is_bad && keys_.size() > 1 && shared.usable(keys_) > 1) {
      shared.give_up(key);
      log_warning(fmt::format("{}: key {} of {} is not used any more: {}", config_.model, choice->index + 1,
                              keys_.size(), error_of(failure, 1).error.cause));
      --tries;
      continue;
    }
    const Seconds wait = wait_before_retry(policy_, tries, failure.retry_after, chance());
    bool counts = true;
    if (failure.kind == LlmFailure::rate_limit) {
      shared.block(key, Clock::now() + std::chrono::duration_cast<Clock::duration>(wait));
      had_enough.insert(choice->index);
      // Another key that may be used now is tried at once; that costs no try.
      if (const auto other = shared.choose(keys_, had_enough); other && other->free_at <= Clock::now()) {
        --tries;
        continue;
      }
      // Where others were answered meanwhile, the key works and is only shared by many: it is a matter of waiting.
      const uint64_t now = shared.answers(key);
      counts = now == answers[choice->index] || uncounted >= most_uncounted_tries;
      answers[choice->index] = now;
    }
    if (!counts) {
      --tries;
      ++uncounted;
    } else if (!failure.again || tries >= policy_.tries) {
      return give_back(std::unexpected(error_of(std::move(failure), tries)));
    }
    const std::string cause = error_of(failure, 1).error.cause;
    log_info(fmt::format("{}: {}: try {} of {} in {}", request.sample_id.empty() ? config_.name : request.sample_id,
                         cause, tries + 1, policy_.tries, human_seconds(wait.count())));
    tell_retry({.tries = tries, .allowed = policy_.tries, .wait = wait, .kind = failure.kind, .cause = cause});
    if (failure.no_choice && !warmer && parameters_->temperature() == 0) {
      // Asked the same way, a model that has nothing to say at temperature 0 has nothing to say again.
      warmer = 1.0;
      body = parameters_->body(request, stream, refused, warmer);
    }
    // After a rate limit it is the key that waits, and which of them is free first is found above.
    if (failure.kind != LlmFailure::rate_limit && wait.count() > 0) (void)session_->sleep_until(Deadline::in(wait));
  }
}

void HttpLlm::tell_retry(const LlmRetry& retry) const noexcept {
  if (!config_.on_retry) return;
  try {
    config_.on_retry(retry);
  } catch (...) {
    // A listener that fails harms no call.
  }
}

ModelInfo HttpLlm::info() {
  return config_.shared->info([this]() -> LlmShared::Found {
    ModelInfo info;
    info.source = "unknown";
    const auto table = info_from_table(endpoint_.service);
    const bool all_given =
        config_.max_input_tokens > 0 && config_.input_cost_per_token && config_.output_cost_per_token;
    std::optional<ModelInfo> server;
    if (!all_given && !closed_.load()) {
      const auto choice = config_.shared->choose(keys_, {});
      server = ask_server(endpoint_, choice ? keys_[choice->index] : std::string(), *session_, stop_);
    }
    // Each figure from the best that knows it.
    for (const std::optional<ModelInfo>* known :
         std::initializer_list<const std::optional<ModelInfo>*>{&table, &server}) {
      if (!*known) continue;
      const ModelInfo& told = **known;
      if (told.context_window > 0) info.context_window = told.context_window;
      if (told.max_output_tokens > 0) info.max_output_tokens = told.max_output_tokens;
      if (told.input_price) info.input_price = told.input_price;
      if (told.output_price) info.output_price = told.output_price;
      if (told.input_price) info.cached_price = told.cached_price;
      info.source = told.source;
    }
    if (config_.max_input_tokens > 0 || config_.input_cost_per_token || config_.output_cost_per_token) {
      if (config_.max_input_tokens > 0) info.context_window = config_.max_input_tokens;
      if (config_.input_cost_per_token) {
        info.input_price = config_.input_cost_per_token;
        info.cached_price.reset();
      }
      if (config_.output_cost_per_token) info.output_price = config_.output_cost_per_token;
      info.source = "config";
    }
    if (config_.max_output_tokens > 0) info.max_output_tokens = config_.max_output_tokens;
    return {.info = std::move(info), .settled = all_given || table || server};
  });
}

void HttpLlm::price(Completion& completion) {
  const bool given = config_.input_cost_per_token && config_.output_cost_per_token;
  // What the server charges is the truth; what the configuration says goes before it, as in OpenHands.
  if (completion.cost_known && !given) return;
  if (!completion.usage.reported) return;
  const ModelInfo known = info();
  if (!known.input_price || !known.output_price) return;
  const auto& usage = completion.usage;
  const double cached_price = known.cached_price.value_or(*known.input_price);
  completion.cost = static_cast<double>(usage.prompt_tokens - usage.cached_tokens) * *known.input_price +
                    static_cast<double>(usage.cached_tokens) * cached_price +
                    static_cast<double>(usage.completion_tokens) * *known.output_price;
  completion.cost_known = true;
}

// One file a call, as OpenHands names it: what was asked, what came. Losing it loses nothing.
void HttpLlm::log_completion(const std::string& body, const LlmResult& result, const CompletionRequest& request) const {
  const std::string folder =
      config_.log_completions_folder.empty() ? default_completions_folder() : config_.log_completions_folder;
  std::string text = "{\"request\":" + body + ",\"purpose\":";
  append_json_string(text, request.purpose);
  text += ",\"sample\":";
  append_json_string(text, request.sample_id);
  text += ",\"timestamp\":";
  append_json_string(text, iso_time());
  if (result) {
    text += fmt::format(",\"cost\":{},\"latency\":{:.6f},\"attempts\":{},\"response\":{}", result->cost,
                        result->latency.count(), result->attempts, result->raw.empty() ? "null" : result->raw);
  } else {
    text += ",\"error\":";
    append_json_string(text, result.error().error.message());
  }
  text += "}\n";
  const auto stamp =
      std::chrono::duration_cast<Milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const std::string name =
      fmt::format("{}-{}.{:03}-{}.json", file_part(config_.model), stamp / 1000, stamp % 1000, sys::random_hex(3));
  auto written = make_folders(folder);
  if (written) written = write_new_file(join_path(folder, name), without_keys(std::move(text)), 0600);
  if (!written) log_warning("log_completions: " + written.error().message());
}

}  // namespace

bool same_service(const LlmConfig& a, const LlmConfig& b) {
  const auto all = [](const LlmConfig& c) {
    return std::tie(c.model, c.api_keys, c.base_url, c.api_version, c.custom_llm_provider, c.ollama_base_url,
                    c.temperature, c.top_p, c.top_k, c.seed, c.reasoning_effort, c.native_tool_calling,
                    c.disable_stop_word, c.completion_kwargs, c.safety_settings, c.timeout, c.num_retries,
                    c.retry_min_wait, c.retry_max_wait, c.retry_multiplier, c.max_input_tokens, c.max_output_tokens,
                    c.max_message_chars, c.input_cost_per_token, c.output_cost_per_token, c.drop_params,
                    c.modify_params, c.caching_prompt, c.log_completions, c.log_completions_folder,
                    c.openrouter_site_url, c.openrouter_app_name, c.stream);
  };
  return all(a) == all(b);
}

Result<std::unique_ptr<Llm>> make_llm(const LlmConfig& config, HttpClient& http, const Stop& stop, const Scope& scope) {
  AWM_TRY(auto endpoint, find_endpoint(config));
  AWM_TRY(auto parameters, ChatParameters::create(config, endpoint));
  std::vector<std::string> keys;
  for (const auto& key : config.api_keys) {
    if (!key.empty() && std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
  }
  std::string variables;
  for (const auto& rule : provider_rules()) {
    if (rule.prefix == endpoint.service.provider) variables = rule.key_variables;
  }
  if (keys.empty()) {
    if (auto key = key_from_environment(variables); !key.empty()) keys.push_back(std::move(key));
  }
  if (keys.empty() && !endpoint.has(no_key)) {
    return fail(Errc::permission, "ask", config.model, "it needs a key, and none is given",
                fmt::format("export {}=…, or name another variable with --api-key-env", endpoint.service.key_variable));
  }
  for (const auto& key : keys) {
    for (const char c : key) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
        return fail(Errc::invalid_input, "ask", config.model, "a control character stands in its key",
                    "check what it was copied from");
      }
    }
    if (key.size() >= shortest_secret) log_hide_secret(key);
  }
  if (keys.empty()) keys.emplace_back();
  return std::make_unique<HttpLlm>(config, std::move(endpoint), std::move(parameters), std::move(keys), http, stop,
                                   scope);
}

}  // namespace awm

#include "replay/fault.h"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/text.h"

namespace awm {
namespace {

constexpr std::array<std::pair<std::string_view, FaultKind>, 12> kinds{{
    {"context", FaultKind::context_window},
    {"refused", FaultKind::refused},
    {"quota", FaultKind::quota},
    {"disconnect", FaultKind::disconnect},
    {"hangup", FaultKind::hang_up},
    {"reset", FaultKind::reset},
    {"drip", FaultKind::drip},
    {"garbage", FaultKind::garbage},
    {"truncated", FaultKind::truncated},
    {"empty", FaultKind::empty},
    {"stream_error", FaultKind::stream_error},
    {"silence", FaultKind::silence},
}};

std::optional<int> whole_number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> seconds(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value) || value < 0) {
    return std::nullopt;
  }
  return value;
}

std::unexpected<Error> bad(std::string_view where, std::string cause, std::string remedy = {}) {
  return fail(Errc::invalid_input, "read fault", std::string(where), std::move(cause), std::move(remedy));
}

Result<void> set(Fault& fault, std::string_view key, std::string_view value, std::string_view where) {
  const auto wrong = [&](std::string_view takes) {
    return bad(where, std::string(key) + " is '" + std::string(value) + "'; it takes " + std::string(takes));
  };
  if (key == "kind") {
    if (const auto status = whole_number(value)) {
      if (*status < 400 || *status > 599) return wrong("an error status from 400 to 599, or a name");
      fault.kind = FaultKind::status;
      fault.status = *status;
      return {};
    }
    std::vector<std::string> names;
    for (const auto& [name, kind] : kinds) {
      if (name == value) {
        fault.kind = kind;
        return {};
      }
      names.emplace_back(name);
    }
    return wrong("a status from 400 to 599, or " + join(names, ", "));
  }
  if (key == "step") {
    const auto step = value == "*" ? std::optional(0) : whole_number(value);
    if (!step || *step < 0) return wrong("a step, counted from 1, or *");
    fault.step = *step;
  } else if (key == "times") {
    const auto times = value == "forever" ? std::optional(-1) : whole_number(value);
    if (!times || *times < -1 || *times == 0) return wrong("a number from 1, or forever");
    fault.times = *times;
  } else if (key == "retry_after") {
    fault.retry_after = seconds(value);
    if (!fault.retry_after) return wrong("seconds");
  } else if (key == "delay_ms") {
    const auto delay = whole_number(value);
    if (!delay || *delay < 0) return wrong("milliseconds");
    fault.delay = Milliseconds(*delay);
  } else if (key == "bytes") {
    const auto bytes = whole_number(value);
    if (!bytes || *bytes < 1) return wrong("a number of bytes from 1");
    fault.piece = static_cast<std::size_t>(*bytes);
  } else if (key == "message") {
    fault.message = std::string(value);
  } else if (key == "conversation") {
    fault.conversation = std::string(value);
  } else {
    static const std::vector<std::string> keys{"kind",     "step",  "times",   "retry_after",
                                               "delay_ms", "bytes", "message", "conversation"};
    const std::string near = nearest_word(key, keys);
    return bad(where, "unknown key '" + std::string(key) + "'",
               near.empty() ? "known are " + join(keys, ", ") : "did you mean '" + near + "'?");
  }
  return {};
}

}  // namespace

Result<Fault> parse_fault(std::string_view spec) {
  Fault fault;
  bool has_kind = false;
  for (const auto& part : split(spec, ',')) {
    const auto text = trim(part);
    if (text.empty()) continue;
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) {
      return bad(spec, "'" + std::string(text) + "' is not key=value", "for example step=3,kind=429,times=2");
    }
    AWM_CHECK(set(fault, trim(text.substr(0, equals)), trim(text.substr(equals + 1)), spec));
    has_kind = has_kind || text.starts_with("kind");
  }
  if (!has_kind) return bad(spec, "it has no kind", "for example step=3,kind=429,times=2");
  return fault;
}

Result<Fault> parse_fault(const Json& object, std::string_view where) {
  if (!object.is_object()) return bad(where, "it is not an object", R"(for example {"kind": 429, "times": 2})");
  Fault fault;
  for (const auto& item : object.items()) {
    const Json& value = item.value();
    if (!value.is_string() && !value.is_number()) return bad(where, item.key() + " is neither text nor a number");
    AWM_CHECK(set(fault, item.key(), value.is_string() ? value.get<std::string>() : dump_json(value), where));
  }
  if (!object.contains("kind")) return bad(where, "it has no kind");
  return fault;
}

std::string describe(const Fault& fault) {
  std::string what = std::to_string(fault.status);
  for (const auto& [name, kind] : kinds) {
    if (kind == fault.kind) what = std::string(name);
  }
  what += fault.step == 0 ? " at every step" : " at step " + std::to_string(fault.step);
  what += fault.times < 0 ? ", always" : ", " + std::to_string(fault.times) + " times";
  if (!fault.conversation.empty()) what += ", in " + fault.conversation;
  return what;
}

}  // namespace awm

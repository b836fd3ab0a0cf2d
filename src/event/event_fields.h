// The fields of every kind of event, named once: the writer, the reader and the masking follow from this list. Order
// and names are those of OpenHands' dataclasses.
#pragma once

#include <type_traits>

#include "event/event.h"

namespace awm {

template <class Body, class Visit>
void visit_fields(Body& b, Visit&& f) {
  using T = std::remove_const_t<Body>;
  if constexpr (std::is_same_v<T, RunAction>) {
    f("command", b.command);
    f("is_input", b.is_input);
    f("thought", b.thought);
    f("blocking", b.blocking);
    f("is_static", b.is_static);
    f("cwd", b.cwd);
    f("hidden", b.hidden);
    f("confirmation_state", b.confirmation_state);
    f("security_risk", b.security_risk);
  } else if constexpr (std::is_same_v<T, RunIpythonAction>) {
    f("code", b.code);
    f("thought", b.thought);
    f("include_extra", b.include_extra);
    f("confirmation_state", b.confirmation_state);
    f("security_risk", b.security_risk);
    f("kernel_init_code", b.kernel_init_code);
  } else if constexpr (std::is_same_v<T, ReadAction>) {
    f("path", b.path);
    f("start", b.start);
    f("end", b.end);
    f("thought", b.thought);
    f("security_risk", b.security_risk);
    f("impl_source", b.impl_source);
    f("view_range", b.view_range);
  } else if constexpr (std::is_same_v<T, WriteAction>) {
    f("path", b.path);
    f("content", b.content);
    f("start", b.start);
    f("end", b.end);
    f("thought", b.thought);
    f("security_risk", b.security_risk);
  } else if constexpr (std::is_same_v<T, EditAction>) {
    f("path", b.path);
    f("command", b.command);
    f("file_text", b.file_text);
    f("old_str", b.old_str);
    f("new_str", b.new_str);
    f("insert_line", b.insert_line);
    f("content", b.content);
    f("start", b.start);
    f("end", b.end);
    f("thought", b.thought);
    f("security_risk", b.security_risk);
    f("impl_source", b.impl_source);
  } else if constexpr (std::is_same_v<T, ThinkAction>) {
    f("thought", b.thought);
  } else if constexpr (std::is_same_v<T, FinishAction>) {
    f("final_thought", b.final_thought);
    f("outputs", b.outputs);
    f("thought", b.thought);
  } else if constexpr (std::is_same_v<T, RejectAction>) {
    f("outputs", b.outputs);
    f("thought", b.thought);
  } else if constexpr (std::is_same_v<T, DelegateAction>) {
    f("agent", b.agent);
    f("inputs", b.inputs);
    f("thought", b.thought);
  } else if constexpr (std::is_same_v<T, RecallAction>) {
    f("recall_type", b.recall_type);
    f("query", b.query);
    f("thought", b.thought);
  } else if constexpr (std::is_same_v<T, ChangeAgentStateAction>) {
    f("agent_state", b.agent_state);
    f("thought", b.thought);
  } else if constexpr (std::is_same_v<T, MessageAction>) {
    f("content", b.content);
    f("file_urls", b.file_urls);
    f("image_urls", b.image_urls);
    f("wait_for_response", b.wait_for_response);
    f("security_risk", b.security_risk);
  } else if constexpr (std::is_same_v<T, SystemAction>) {
    f("content", b.content);
    f("tools", b.tools);
    f("openhands_version", b.openhands_version);
    f("agent_class", b.agent_class);
  } else if constexpr (std::is_same_v<T, CondensationAction>) {
    f("forgotten_event_ids", b.forgotten_event_ids);
    f("forgotten_events_start_id", b.forgotten_events_start_id);
    f("forgotten_events_end_id", b.forgotten_events_end_id);
    f("summary", b.summary);
    f("summary_offset", b.summary_offset);
  } else if constexpr (std::is_same_v<T, RunMetadata>) {
    f("exit_code", b.exit_code);
    f("pid", b.pid);
    f("username", b.username);
    f("hostname", b.hostname);
    f("working_dir", b.working_dir);
    f("py_interpreter_path", b.py_interpreter_path);
    f("prefix", b.prefix);
    f("suffix", b.suffix);
  } else if constexpr (std::is_same_v<T, RunObservation>) {
    f("command", b.command);
    f("metadata", b.metadata);
    f("hidden", b.hidden);
  } else if constexpr (std::is_same_v<T, RunIpythonObservation>) {
    f("code", b.code);
    f("image_urls", b.image_urls);
  } else if constexpr (std::is_same_v<T, ReadObservation>) {
    f("path", b.path);
    f("impl_source", b.impl_source);
  } else if constexpr (std::is_same_v<T, WriteObservation>) {
    f("path", b.path);
  } else if constexpr (std::is_same_v<T, EditObservation>) {
    f("path", b.path);
    f("prev_exist", b.prev_exist);
    f("old_content", b.old_content);
    f("new_content", b.new_content);
    f("impl_source", b.impl_source);
    f("diff", b.diff);
    f("_diff_cache", b.diff_cache);
  } else if constexpr (std::is_same_v<T, ErrorObservation>) {
    f("error_id", b.error_id);
  } else if constexpr (std::is_same_v<T, AgentStateChangedObservation>) {
    f("agent_state", b.agent_state);
    f("reason", b.reason);
  }
}

}  // namespace awm

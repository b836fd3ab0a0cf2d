#include <algorithm>
#include <array>
#include <string>

#include "base/text.h"
#include "llm/info.h"

namespace awm {
namespace {

// One model or a family of them. Prices are the makers' list prices in US dollars for a million tokens, cached input
// last; 0 where it is not known. Context windows and limits in tokens. As of the end of 2025.
struct Row {
  std::string_view name;  // what the model's own name begins with, in lower case
  int64_t window;
  int64_t output;
  double input_price;
  double output_price;
  double cached_price;
};

// The longest name that fits counts.
constexpr auto rows = std::to_array<Row>({
    // OpenAI: platform.openai.com/docs/models
    {"gpt-5", 272000, 128000, 1.25, 10, 0.125},
    {"gpt-5-mini", 272000, 128000, 0.25, 2, 0.025},
    {"gpt-5-nano", 272000, 128000, 0.05, 0.4, 0.005},
    {"gpt-5-pro", 272000, 128000, 15, 120, 0},
    {"gpt-5.1", 272000, 128000, 1.25, 10, 0.125},
    {"gpt-5-chat", 128000, 16384, 1.25, 10, 0.125},
    {"gpt-4.1", 1047576, 32768, 2, 8, 0.5},
    {"gpt-4.1-mini", 1047576, 32768, 0.4, 1.6, 0.1},
    {"gpt-4.1-nano", 1047576, 32768, 0.1, 0.4, 0.025},
    {"gpt-4o", 128000, 16384, 2.5, 10, 1.25},
    {"gpt-4o-mini", 128000, 16384, 0.15, 0.6, 0.075},
    {"gpt-4-turbo", 128000, 4096, 10, 30, 0},
    {"gpt-4", 8192, 8192, 30, 60, 0},
    {"gpt-3.5-turbo", 16385, 4096, 0.5, 1.5, 0},
    {"o1", 200000, 100000, 15, 60, 7.5},
    {"o1-pro", 200000, 100000, 150, 600, 0},
    {"o1-mini", 128000, 65536, 1.1, 4.4, 0.55},
    {"o3", 200000, 100000, 2, 8, 0.5},
    {"o3-pro", 200000, 100000, 20, 80, 0},
    {"o3-mini", 200000, 100000, 1.1, 4.4, 0.55},
    {"o4-mini", 200000, 100000, 1.1, 4.4, 0.275},
    // Anthropic: docs.anthropic.com/en/docs/about-claude/models
    {"claude-opus-4", 200000, 32000, 15, 75, 1.5},
    {"claude-opus-4-5", 200000, 64000, 5, 25, 0.5},
    {"claude-sonnet-4", 200000, 64000, 3, 15, 0.3},
    {"claude-haiku-4", 200000, 64000, 1, 5, 0.1},
    {"claude-3-7-sonnet", 200000, 64000, 3, 15, 0.3},
    {"claude-3-5-sonnet", 200000, 8192, 3, 15, 0.3},
    {"claude-3-5-haiku", 200000, 8192, 0.8, 4, 0.08},
    {"claude-3-haiku", 200000, 4096, 0.25, 1.25, 0.03},
    {"claude-3-opus", 200000, 4096, 15, 75, 1.5},
    // Google: ai.google.dev/gemini-api/docs/models (prompts up to 200,000 tokens)
    {"gemini-3-pro", 1048576, 65536, 2, 12, 0.2},
    {"gemini-2.5-pro", 1048576, 65536, 1.25, 10, 0.125},
    {"gemini-2.5-flash", 1048576, 65536, 0.3, 2.5, 0.03},
    {"gemini-2.5-flash-lite", 1048576, 65536, 0.1, 0.4, 0.01},
    {"gemini-2.0-flash", 1048576, 8192, 0.1, 0.4, 0.025},
    // DeepSeek: api-docs.deepseek.com/quick_start/pricing
    {"deepseek-chat", 131072, 8192, 0.28, 0.42, 0.028},
    {"deepseek-reasoner", 131072, 65536, 0.28, 0.42, 0.028},
    // Moonshot: platform.moonshot.ai/docs/pricing
    {"kimi-k2", 262144, 0, 0.6, 2.5, 0.15},
    {"kimi-k2-0711", 131072, 0, 0.6, 2.5, 0.15},
    {"kimi-k2-turbo", 262144, 0, 1.15, 8, 0.15},
    // Mistral: docs.mistral.ai/getting-started/models
    {"mistral-large", 131072, 0, 2, 6, 0},
    {"mistral-medium", 131072, 0, 0.4, 2, 0},
    {"mistral-small", 131072, 0, 0.1, 0.3, 0},
    {"devstral-medium", 131072, 0, 0.4, 2, 0},
    {"devstral-small", 131072, 0, 0.1, 0.3, 0},
    {"codestral", 262144, 0, 0.3, 0.9, 0},
    {"magistral-medium", 131072, 0, 2, 5, 0},
    // xAI: docs.x.ai/docs/models
    {"grok-4", 256000, 0, 3, 15, 0.75},
    {"grok-4-fast", 2000000, 0, 0.2, 0.5, 0.05},
    {"grok-code-fast-1", 256000, 0, 0.2, 1.5, 0.02},
    {"grok-3", 131072, 0, 3, 15, 0.75},
    {"grok-3-mini", 131072, 0, 0.3, 0.5, 0.075},
    // Z.ai: docs.z.ai
    {"glm-4.6", 204800, 131072, 0.6, 2.2, 0.11},
    {"glm-4.5", 131072, 98304, 0.6, 2.2, 0.11},
    {"glm-4.5-air", 131072, 98304, 0.2, 1.1, 0.03},
    // Open weights: windows as their makers publish them; prices differ from host to host.
    {"qwen3-coder", 262144, 65536, 0, 0, 0},
    {"qwen2.5-coder", 131072, 0, 0, 0, 0},
    {"qwen3", 131072, 0, 0, 0, 0},
    {"gpt-oss", 131072, 0, 0, 0, 0},
    {"llama-3.1", 131072, 0, 0, 0, 0},
    {"llama-3.3", 131072, 0, 0, 0, 0},
    {"minimax-m2", 204800, 0, 0, 0, 0},
});

// Prices are the makers' own: elsewhere the same weights cost otherwise.
bool sold_by_its_maker(const LlmService& service, std::string_view name) {
  const auto& provider = service.provider;
  if (name.starts_with("deepseek")) return provider == "deepseek";
  if (name.starts_with("kimi")) return provider == "moonshot";
  if (name.starts_with("glm")) return provider == "zai";
  if (name.starts_with("mistral") || name.starts_with("devstral") || name.starts_with("codestral") ||
      name.starts_with("magistral")) {
    return provider == "mistral" || provider == "codestral";
  }
  // Closed models cost about the same wherever they are resold; a server of one's own serves none of them.
  return provider != "openai_compatible" && provider != "hosted_vllm" && !provider.starts_with("ollama");
}

}  // namespace

std::optional<ModelInfo> info_from_table(const LlmService& service) {
  std::string name = to_lower_ascii(service.model.substr(service.model.rfind('/') + 1));
  // "claude-sonnet-4.5" at OpenRouter is Anthropic's "claude-sonnet-4-5".
  if (name.starts_with("claude")) std::ranges::replace(name, '.', '-');
  const bool free_of_charge = name.ends_with(":free");
  const Row* best = nullptr;
  for (const auto& row : rows) {
    if (!name.starts_with(row.name)) continue;
    // "gpt-4" is not the beginning of "gpt-4o", nor "gpt-5" of "gpt-5.1": a part of a name ends at another sign.
    const char next = name.size() > row.name.size() ? name[row.name.size()] : '-';
    if ((next >= 'a' && next <= 'z') || (next >= '0' && next <= '9') || next == '.') continue;
    if (best == nullptr || row.name.size() > best->name.size()) best = &row;
  }
  if (best == nullptr) return std::nullopt;
  ModelInfo info;
  info.context_window = best->window;
  info.max_output_tokens = best->output;
  if (free_of_charge) {
    info.input_price = info.output_price = info.cached_price = 0;
  } else if (best->input_price > 0 && sold_by_its_maker(service, best->name)) {
    info.input_price = best->input_price * 1e-6;
    info.output_price = best->output_price * 1e-6;
    if (best->cached_price > 0) info.cached_price = best->cached_price * 1e-6;
  }
  info.source = "table";
  return info;
}

}  // namespace awm

#include "cli/model_flags.h"

#include <CLI/CLI.hpp>

namespace awm {

void add_model_flags(CLI::App& to, const ModelFlags& flags) {
  to.add_option("--config", flags.config_file, "OpenHands' config.toml (default: ./config.toml where there is one)")
      ->type_name("FILE");
  to.add_option("--llm-config", flags.llm_config, "section of it, as llm.NAME (default: [llm])")->type_name("llm.NAME");
  to.add_option("--model", flags.model, "with LiteLLM's prefix: openrouter/…, openai/…, hosted_vllm/…")
      ->type_name("NAME");
  to.add_option("--base-url", flags.base_url, "the server, where the prefix does not say")->type_name("URL");
  to.add_option("--api-key-env", flags.api_key_env,
                "environment variables that hold keys, each with its own rate limit")
      ->delimiter(',')
      ->allow_extra_args(false)  // what follows belongs to the command
      ->type_name("A,B");
}

}  // namespace awm

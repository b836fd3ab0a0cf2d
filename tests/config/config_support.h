// Short forms for tests of settings.
#pragma once

#include <string>
#include <string_view>

#include "config/config.h"
#include "support/support.h"

namespace awm {

inline std::string sample_path() {
  return AWM_SOURCE_DIR "/tests/config/sample.toml";
}

inline ConfigFile parsed(std::string_view text) {
  auto file = ConfigFile::parse(text, "config.toml");
  if (file) return *file;
  ADD_FAILURE() << file.error();
  return {};
}

inline ConfigFile sample() {
  return parsed(testing::read_text(sample_path()));
}

// The message for a text that must be refused.
inline std::string refused(std::string_view text) {
  auto file = ConfigFile::parse(text, "config.toml");
  if (file) {
    ADD_FAILURE() << "accepted: " << text;
    return {};
  }
  EXPECT_EQ(file.error().code, Errc::invalid_input);
  return file.error().message();
}

inline Settings resolved(const ConfigFile& file, const SettingsFlags& flags = {}, Environment environment = {}) {
  environment.try_emplace("HOME", "/home/me");
  auto settings = resolve_settings(file, flags, environment);
  if (settings) return *settings;
  ADD_FAILURE() << settings.error();
  return {};
}

inline std::string refused(const ConfigFile& file, const SettingsFlags& flags, Environment environment = {}) {
  environment.try_emplace("HOME", "/home/me");
  auto settings = resolve_settings(file, flags, environment);
  if (settings) {
    ADD_FAILURE() << "accepted";
    return {};
  }
  return settings.error().message();
}

inline SettingOrigin origin(const Settings& settings, std::string_view key) {
  for (const auto& one : settings.origins) {
    if (one.key == key) return one;
  }
  ADD_FAILURE() << "nobody said " << key;
  return {};
}

}  // namespace awm

#include "logparse/xml.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>

#include "logparse/unicode_tables.h"
#include "logparse/utf8.h"

namespace awm::logparse {
namespace {

constexpr std::size_t npos = std::string_view::npos;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Every character of the text is one that XML knows: no controls, no U+FFFE, no U+FFFF.
bool has_only_characters(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 && !is_blank(text[i])) return false;
    if (c == 0xef && text.substr(i).starts_with("\xef\xbf") && i + 2 < text.size() &&
        static_cast<unsigned char>(text[i + 2]) >= 0xbe) {
      return false;
    }
  }
  return true;
}

class Reader {
 public:
  Reader(std::string_view text, const XmlHandler& handler) : text_(text), handler_(handler) {}

  bool read() {
    if (!has_only_characters(text_) || !at('<') || !element()) return false;
    while (!open_.empty()) {
      if (!content()) return false;
    }
    while (at_ < text_.size()) {
      if (is_blank(text_[at_])) {
        ++at_;
      } else if (!misc()) {
        return false;
      }
    }
    return true;
  }

 private:
  struct Binding {
    std::string_view prefix;
    std::string uri;
    std::size_t depth;
  };

  [[nodiscard]] bool at(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  bool skip_blank() {
    const std::size_t start = at_;
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
    return at_ > start;
  }

  // Length of the name character at `at`; 0: none. A colon is none.
  [[nodiscard]] std::size_t name_char(std::size_t at, bool first) const {
    if (at >= text_.size()) return 0;
    const auto c = static_cast<unsigned char>(text_[at]);
    if (c < 0x80) {
      if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_') return 1;
      return !first && ((c >= '0' && c <= '9') || c == '-' || c == '.') ? 1 : 0;
    }
    const auto tail = [&](std::size_t i) {
      return at + i < text_.size() ? static_cast<uint32_t>(static_cast<unsigned char>(text_[at + i]) & 0x3fU) : 0U;
    };
    uint32_t code = 0;
    std::size_t length = 0;
    if (c < 0xe0) {
      code = (c & 0x1fU) << 6U | tail(1);
      length = 2;
    } else if (c < 0xf0) {
      code = (c & 0x0fU) << 12U | tail(1) << 6U | tail(2);
      length = 3;
    } else {
      code = (c & 0x07U) << 18U | tail(1) << 12U | tail(2) << 6U | tail(3);
      length = 4;
    }
    const std::span<const python::CodeRange> ranges = first ? python::name_start_ranges() : python::name_ranges();
    const auto after = std::ranges::upper_bound(ranges, code, {}, &python::CodeRange::first);
    return after != ranges.begin() && code <= std::prev(after)->last ? length : 0;
  }
  // A name without a colon; "" when there is none.
  std::string_view plain_name() {
    const std::size_t start = at_;
    std::size_t n = name_char(at_, true);
    while (n != 0) {
      at_ += n;
      n = name_char(at_, false);
    }
    return text_.substr(start, at_ - start);
  }
  // name or prefix:name; "" when it is neither.
  std::string_view qualified_name() {
    const std::size_t start = at_;
    if (plain_name().empty()) return {};
    if (at(':')) {
      ++at_;
      if (plain_name().empty() || at(':')) return {};
    }
    return text_.substr(start, at_ - start);
  }
  static std::string_view prefix_of(std::string_view name) {
    const std::size_t colon = name.find(':');
    return colon == npos ? std::string_view() : name.substr(0, colon);
  }

  // "&lt;" or "&#60;" at the cursor. What it means goes to `out`, where that is given.
  bool reference(std::string* out) {
    ++at_;
    uint32_t code = 0;
    if (at('#')) {
      ++at_;
      const bool is_hex = at('x');
      if (is_hex) ++at_;
      const std::size_t start = at_;
      for (; at_ < text_.size() && text_[at_] != ';'; ++at_) {
        const char c = text_[at_];
        const int digit = c >= '0' && c <= '9'             ? c - '0'
                          : is_hex && c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : is_hex && c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                           : -1;
        if (digit < 0) return false;
        code = code * (is_hex ? 16 : 10) + static_cast<uint32_t>(digit);
        if (code >= 0x110000) return false;
      }
      if (at_ == start || !take(";")) return false;
      const bool is_control = code < 0x20 && code != '\t' && code != '\n' && code != '\r';
      if (is_control || (code >= 0xd800 && code < 0xe000) || code == 0xfffe || code == 0xffff) return false;
    } else {
      const std::string_view name = plain_name();
      if (!take(";")) return false;
      constexpr std::pair<std::string_view, char> known[] = {
          {"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"apos", '\''}, {"quot", '"'}};
      const auto* found = std::ranges::find(known, name, &std::pair<std::string_view, char>::first);
      if (found == std::end(known)) return false;
      code = static_cast<unsigned char>(found->second);
    }
    if (out != nullptr) append_utf8(*out, code);
    return true;
  }

  bool attribute_value(std::string& value) {
    if (!at('"') && !at('\'')) return false;
    const char quote = text_[at_++];
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == quote) {
        ++at_;
        return true;
      }
      if (c == '<') return false;
      if (c == '&') {
        if (!reference(&value)) return false;
        continue;
      }
      if (c == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') ++at_;
      value += is_blank(c) ? ' ' : c;
      ++at_;
    }
    return false;
  }

  bool bind(std::string_view prefix, const std::string& uri) {
    const bool is_xml = uri == "http://www.w3.org/XML/1998/namespace";
    if (uri.empty() && !prefix.empty()) return false;
    if (prefix == "xmlns" || (prefix == "xml") != is_xml || uri == "http://www.w3.org/2000/xmlns/") return false;
    if (uri.find('}') != npos) return false;  // what separates namespace and name in ElementTree's names
    bindings_.push_back({.prefix = prefix, .uri = uri, .depth = open_.size()});
    return true;
  }
  [[nodiscard]] const std::string* uri_of(std::string_view prefix) const {
    for (auto binding = bindings_.rbegin(); binding != bindings_.rend(); ++binding) {
      if (binding->prefix == prefix) return &binding->uri;
    }
    return nullptr;
  }

  // A start tag, or an element without content.
  bool element() {
    ++at_;
    const std::string_view name = qualified_name();
    if (name.empty()) return false;
    std::vector<XmlAttribute> attributes;
    open_.push_back(name);
    bool is_empty = false;
    for (;;) {
      const bool had_blank = skip_blank();
      if (take(">")) break;
      if (take("/>")) {
        is_empty = true;
        break;
      }
      if (!had_blank) return false;
      XmlAttribute attribute{.name = qualified_name(), .value = {}};
      if (attribute.name.empty()) return false;
      skip_blank();
      if (!take("=")) return false;
      skip_blank();
      if (!attribute_value(attribute.value)) return false;
      attributes.push_back(std::move(attribute));
    }
    if (!resolve(attributes)) return false;
    const std::string_view prefix = prefix_of(name);
    const std::string* uri = uri_of(prefix);
    if (!prefix.empty() && prefix != "xml" && uri == nullptr) return false;
    const bool in_namespace = !prefix.empty() || (uri != nullptr && !uri->empty());
    if (handler_.start) handler_.start(in_namespace ? std::string_view() : name, attributes);
    if (is_empty) close();
    return true;
  }

  // Binds what the attributes bind, and refuses prefixes that are not bound and attributes that are there twice.
  bool resolve(const std::vector<XmlAttribute>& attributes) {
    for (const XmlAttribute& attribute : attributes) {
      if (attribute.name == "xmlns") {
        if (!bind({}, attribute.value)) return false;
      } else if (attribute.name.starts_with("xmlns:") && !bind(attribute.name.substr(6), attribute.value)) {
        return false;
      }
    }
    std::vector<std::pair<std::string_view, std::string_view>> names;  // namespace and name
    for (const XmlAttribute& attribute : attributes) {
      const std::string_view prefix = prefix_of(attribute.name);
      if (prefix.empty() || prefix == "xmlns") {
        names.emplace_back(prefix, attribute.name);
        continue;
      }
      const std::string* uri = uri_of(prefix);
      if (uri == nullptr && prefix != "xml") return false;
      names.emplace_back(uri == nullptr ? "http://www.w3.org/XML/1998/namespace" : std::string_view(*uri),
                         attribute.name.substr(prefix.size() + 1));
    }
    std::ranges::sort(names);
    return std::ranges::adjacent_find(names) == names.end();
  }

  void close() {
    open_.pop_back();
    while (!bindings_.empty() && bindings_.back().depth > open_.size()) bindings_.pop_back();
    if (handler_.end) handler_.end();
  }

  // A comment or processing instruction.
  bool misc() {
    if (take("<!--")) {
      const std::size_t end = text_.find("--", at_);
      if (end == npos) return false;
      at_ = end + 2;
      return take(">");
    }
    if (!take("<?")) return false;
    const std::string_view target = plain_name();
    if (target.size() == 3 && (target[0] | 0x20) == 'x' && (target[1] | 0x20) == 'm' && (target[2] | 0x20) == 'l')
      return false;
    if (target.empty()) return false;
    if (take("?>")) return true;
    if (!skip_blank()) return false;
    const std::size_t end = text_.find("?>", at_);
    if (end == npos) return false;
    at_ = end + 2;
    return true;
  }

  // One piece of an element's content, or its end.
  bool content() {
    if (at_ >= text_.size()) return false;
    const std::string_view rest = text_.substr(at_);
    if (rest.front() == '&') return reference(nullptr);
    if (rest.front() != '<') {
      const std::size_t end = std::min(rest.find_first_of("<&"), rest.size());
      if (rest.substr(0, end).find("]]>") != npos) return false;
      at_ += end;
      return true;
    }
    if (take("</")) {
      if (!take(open_.back())) return false;
      if (name_char(at_, false) != 0 || at(':')) return false;
      skip_blank();
      if (!take(">")) return false;
      close();
      return true;
    }
    if (take("<![CDATA[")) {
      const std::size_t end = text_.find("]]>", at_);
      if (end == npos) return false;
      at_ = end + 3;
      return true;
    }
    if (rest.starts_with("<!") || rest.starts_with("<?")) return misc();
    return element();
  }

  std::string_view text_;
  const XmlHandler& handler_;
  std::size_t at_ = 0;
  std::vector<std::string_view> open_;
  std::vector<Binding> bindings_;
};

}  // namespace

bool read_xml(std::string_view text, const XmlHandler& handler) {
  return Reader(text, handler).read();
}

}  // namespace awm::logparse

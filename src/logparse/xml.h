// XML as expat takes it, namespaces on, without a document type: what Python's xml.etree reads from a str. Facts:
// XML 1.0 (4th edition's names), Namespaces in XML 1.0, expat 2.5.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace awm::logparse {

struct XmlAttribute {
  std::string_view name;  // as written, with its prefix
  std::string value;      // references resolved, white space as spaces
};

struct XmlHandler {
  // An element opens. `name` is "" when it is in a namespace. The attributes hold for the call.
  std::function<void(std::string_view name, const std::vector<XmlAttribute>& attributes)> start;
  std::function<void()> end;
};

// Reads one whole document; true when it is well-formed. The handler is called as far as it is.
bool read_xml(std::string_view text, const XmlHandler& handler);

}  // namespace awm::logparse

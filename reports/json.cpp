// SPDX-License-Identifier: Apache-2.0
#include "reports/record_json.h"
#include "reports/writers.h"

namespace remeasure::reports {

std::string json_report(const std::vector<Record>& records) {
  nlohmann::json array = nlohmann::json::array();
  for (const Record& record : records) {
    array.push_back(to_document(record));
  }
  return to_text(array);
}

}  // namespace remeasure::reports

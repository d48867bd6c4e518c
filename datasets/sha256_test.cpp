// SPDX-License-Identifier: Apache-2.0
#include "datasets/sha256.h"

#include <testing/catch.h>

using remeasure::datasets::Sha256;

TEST_CASE("SHA-256 gives the digests of FIPS 180-4's examples", "[cpu]") {
  CHECK(Sha256().finish() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(Sha256().update("abc").finish() ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(Sha256().update("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").finish() ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(Sha256().update(std::string(1'000'000, 'a')).finish() ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("SHA-256 doesn't depend on how the bytes are cut into pieces", "[cpu]") {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7);
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const std::string whole = Sha256().update(text.substr(0, size)).finish();
    const std::size_t cut = size * 5 / 8;
    REQUIRE(Sha256().update(text.substr(0, cut)).update(text.substr(cut, size - cut)).finish() == whole);
  }
  CHECK(Sha256().update(std::uint64_t{0x0102030405060708}).finish() ==
        Sha256().update("\x08\x07\x06\x05\x04\x03\x02\x01").finish());
}

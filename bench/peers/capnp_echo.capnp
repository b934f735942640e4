# SPDX-License-Identifier: MIT
@0xb7a1c5e8d2f49036;

interface Echo {
  echo @0 (bytes :Data) -> (bytes :Data);
}

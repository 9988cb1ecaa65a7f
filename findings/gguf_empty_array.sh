#!/bin/bash
# The gguf Python package drops an empty array without a word.
#
# One would expect: GGUFWriter.add_array(key, []) writes an array of length 0, which
# the GGUF format has, or raises an error.
# Seen: nothing is written; the key is absent when the file is read back. An
# array of one element is there.
# So a reader takes a missing list for an empty one, or files of a converter whose
# model has, say, no merges lack a key that others have.
# shellcheck source=findings/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

install gguf gguf==0.19.0
cat > "$work/arrays.py" << 'PYTHON'
import sys
import gguf

writer = gguf.GGUFWriter(sys.argv[1], "llama")
writer.add_array("list.empty", [])
writer.add_array("list.of_one", ["a"])
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
keys = gguf.GGUFReader(sys.argv[1]).fields
print(*(key for key in keys if key.startswith("list.")))
PYTHON
expect "keys in the file" \
  "$("$work/gguf/bin/python" "$work/arrays.py" "$work/file.gguf")" "list.of_one"
end

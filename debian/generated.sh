#!/bin/sh
# Usage: generated.sh ROOT VENV WORK
# Generates files from the code: Twisted's list of plug-ins and the completions in ROOT, man pages in WORK.
set -eu
root=$1
python=$1$2/bin/python
share=$root/usr/share

# twistd rewrites its list of plug-ins unless the list is newer than the plug-ins; the user of the service may not write it.
plugins=$(echo "$root$2"/lib/python3.*/site-packages/twisted/plugins)
find "$plugins" -name '*.py' -exec touch -d "@$((SOURCE_DATE_EPOCH - 86400))" {} +
"$python" -c 'from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
assert any(maker.tapname == "dstwist" for maker in getPlugins(IServiceMaker))'
test -s "$plugins/dropin.cache"
chmod -x "$plugins/dropin.cache"

complete() {
    mkdir -p "$(dirname "$share/$2")"
    _DSTWIST_COMPLETE=$1_source "$python" -c 'from dstwist.cli.main import main; main(prog_name="dstwist")' > "$share/$2"
    test -s "$share/$2"
}
complete bash bash-completion/completions/dstwist
complete zsh zsh/vendor-completions/_dstwist
complete fish fish/vendor_completions.d/dstwist.fish

"$python" -P tools/man_pages.py "$3"
for page in "$3"/*.rst; do
    python3 tools/rst2man.py "$page" "${page%.rst}"
done

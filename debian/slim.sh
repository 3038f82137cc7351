#!/bin/sh
# Usage: slim.sh VENV
# Removes from a virtual environment all that a server does not need: pip, the commands of other packages, their tests.
set -eu
venv=$1
site=$(echo "$venv"/lib/python3.*/site-packages)
rm -rf "$site"/pip "$site"/pip-*.dist-info "$site"/setuptools "$site"/setuptools-*.dist-info "$site"/_distutils_hack \
    "$site"/distutils-precedence.pth "$site"/pkg_resources "$site"/autobahn/_flatc "$venv"/include "$venv"/.gitignore
find "$venv"/share -mindepth 1 -maxdepth 1 ! -name dstwist -exec rm -rf {} +
find "$venv"/bin -mindepth 1 ! -name 'python*' ! -name dstwist ! -name twistd -delete
find "$site" -type d \( -name test -o -name tests -o -name newsfragments -o -name __pycache__ \) -prune -exec rm -rf {} +
find "$site" -name '*.py' -perm /111 -exec chmod -x {} +

# Two builds in two directories give the same package: nothing in it names the directory.
find "$site" -path '*.dist-info/direct_url.json' -delete
find "$site" -path '*.dist-info/RECORD' -exec sed -i -e '/^\.\.\/\.\.\/\.\.\/bin\//d' -e '/\/direct_url\.json,/d' {} +
sed -i '/^command = /d' "$venv/pyvenv.cfg"

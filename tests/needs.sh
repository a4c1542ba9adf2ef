#!/usr/bin/env bash
# What the tests need beside Python: PostgreSQL's server, Chromium, npm's axe-core, oidc-provider and fhir, and Java
# for Spark. Installed when root and missing; otherwise one line says what to install.
set -eu
cd "$(dirname "$0")"

missing=""
command -v chromium >/dev/null || missing="$missing chromium"
command -v npm >/dev/null || missing="$missing npm"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || missing="$missing postgresql"
command -v java >/dev/null || [ -x "${JAVA_HOME:-}/bin/java" ] || missing="$missing default-jre-headless"
if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing:$missing"
    apt-get update -qq
    # shellcheck disable=SC2086 -- a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
  else
    echo "Missing:$missing. Install with: apt-get install$missing" >&2
    exit 1
  fi
fi
for part in axe-core oidc-provider fhir; do
  [ -e "browser/node_modules/$part/package.json" ] || incomplete=yes
done
if [ -n "${incomplete:-}" ]; then
  (cd browser && npm ci --silent --no-audit --no-fund)
fi

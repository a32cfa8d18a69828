"""How each foreign server is started: its configuration, written into the site's folder.

Each function takes a site and options, and returns when the server listens on the site's port.
"""

import json
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tests.foreign.foreign_server import HERE, IS_ROOT, Site, require

LONG_TEXT = "x" * 3_000
"""nginx takes no longer parameter than 4,096 bytes; `return` may repeat it by a variable."""


def start_nghttpd(site: Site, *options: str) -> None:
    """nghttp2's own server: a file answers every request; its log names each of them."""
    program = require("nghttpd", "nghttp2-server")
    (site.folder / "pages").mkdir()
    site.write("pages/index.html", "accepted")
    command = [program, "-v", "-a", "127.0.0.1", "-d", site.folder / "pages", *options]
    site.start([*command, site.port, site.key, site.certificate], output=site.requests)


def start_nginx(site: Site, settings: str = "", *, location: str = "", origin: str = "") -> None:
    """nginx before an origin of the given behaviour, or answering by itself by `location`."""
    program = require("nginx", "nginx-light")
    if not location:
        location = f"proxy_pass http://127.0.0.1:{site.start_origin(origin or 'plain')};"
        access = "access_log off;"
    else:
        access = f"log_format requests $request_uri; access_log {site.requests} requests;"
    temporary = "\n".join(
        f"{kind}_temp_path {site.folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = f"""
        daemon off; worker_processes 1; pid {site.folder}/nginx.pid; error_log stderr error;
        {"user root;" if IS_ROOT else ""}
        events {{ worker_connections 1024; }}
        http {{
            {temporary}
            {access}
            upstream unused {{ server 127.0.0.1:9; }}
            server {{
                listen 127.0.0.1:{site.port} ssl http2;
                ssl_certificate {site.certificate}; ssl_certificate_key {site.key};
                {settings}
                location / {{ {location} }}
            }}
        }}"""
    path = site.write("nginx.conf", configuration)
    site.start([program, "-p", site.folder, "-e", "stderr", "-c", path])


def start_apache(site: Site, settings: str = "", *, origin: str = "plain") -> None:
    """Apache's mod_http2 before an origin."""
    program = require("apache2", "apache2-bin")
    modules = "\n".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
        for name in ("mpm_event", "authz_core", "ssl", "http2", "proxy", "proxy_http")
    )
    configuration = f"""
        {modules}
        ServerName localhost
        ServerRoot {site.folder}
        DefaultRuntimeDir {site.folder}
        PidFile {site.folder}/apache.pid
        Mutex posixsem
        ErrorLog {site.folder}/apache.log
        Listen 127.0.0.1:{site.port}
        StartServers 1
        Protocols h2
        SSLEngine on
        SSLCertificateFile {site.certificate}
        SSLCertificateKeyFile {site.key}
        ProxyPass / http://127.0.0.1:{site.start_origin(origin)}/
        {"User www-data" if IS_ROOT else ""}
        {settings}
        """
    path = site.write("apache.conf", configuration)
    site.start([program, "-D", "FOREGROUND", "-f", path])


def start_haproxy(site: Site, settings: str = "", *, origin: str = "early") -> None:
    """HAProxy before an origin; without `settings` all of HTTP/2 is as it comes."""
    program = require("haproxy", "haproxy")
    path = site.write(
        "haproxy.cfg",
        f"""
global
    {settings}
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
frontend edge
    bind 127.0.0.1:{site.port} ssl crt {site.pair} alpn h2
    default_backend origin
backend origin
    server one 127.0.0.1:{site.start_origin(origin)}
""",
    )
    site.start([program, "-db", "-f", path])


def start_caddy(site: Site, *, origin: str = "plain") -> None:
    """Caddy before an origin."""
    program = require("caddy", "caddy")
    path = site.write(
        "Caddyfile",
        f"""{{
    admin off
    auto_https off
    storage file_system {site.folder}/caddy
}}
https://localhost:{site.port} {{
    bind 127.0.0.1
    tls {site.certificate} {site.key}
    reverse_proxy 127.0.0.1:{site.start_origin(origin)}
}}
""",
    )
    site.start([program, "run", "--adapter", "caddyfile", "--config", path])


def start_h2o(site: Site, settings: str = "", *, origin: str = "plain") -> None:
    """h2o before an origin."""
    program = require("h2o", "h2o")
    path = site.write(
        "h2o.yaml",
        f"""
{"user: root" if IS_ROOT else ""}
{settings}
hosts:
  localhost:
    listen:
      host: 127.0.0.1
      port: {site.port}
      ssl:
        certificate-file: {site.certificate}
        key-file: {site.key}
    paths:
      /:
        proxy.reverse.url: http://127.0.0.1:{site.start_origin(origin)}/
""",
    )
    site.start([program, "-c", path])


def start_node(site: Site, **options: object) -> None:
    """Our own server on Node's HTTP/2."""
    program = require("node", "nodejs")
    options |= {
        "certificate": str(site.certificate),
        "key": str(site.key),
        "log": str(site.requests),
    }
    site.port = site.start_announced([program, HERE / "server.mjs", json.dumps(options)])


def start_go(site: Site, *options: str) -> None:
    """Our own server on Go's HTTP/2."""
    program = build_go(require("go", "golang-go"))
    files = ["-certificate", site.certificate, "-key", site.key, "-log", site.requests]
    site.port = site.start_announced([program, *files, *options])


@cache
def build_go(compiler: str) -> Path:
    """Compile our Go server, once in a run."""
    folder = Path(mkdtemp(prefix="newszop-go-"))
    program = folder / "server"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "GOFLAGS": "", "CGO_ENABLED": "0"}
    subprocess.run(
        [compiler, "build", "-o", program, HERE / "server.go"],
        env=environment,
        cwd=folder,
        check=True,
        timeout=180,
    )
    return program

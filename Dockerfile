# The relay alone. Its dependencies are locked by hash, and it runs as an unprivileged user. It writes nothing but a
# socket in /tmp, so the rest of its file system may be read-only.
FROM python:3.13-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 RELAY_HOST=0.0.0.0
WORKDIR /relay

COPY requirements/runtime.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/runtime.txt

COPY pyproject.toml README.md LICENSE ./
COPY relay relay
RUN pip install --no-cache-dir --no-deps --no-build-isolation . \
    && groupadd --gid 10001 relay \
    && useradd --uid 10001 --gid relay --no-create-home --shell /usr/sbin/nologin relay
# By number, because Kubernetes cannot know of a name that it is not root (runAsNonRoot).
USER 10001:10001

# docker build --build-arg REVISION=$(git rev-parse HEAD) .
ARG REVISION=""
LABEL org.opencontainers.image.title="relay" \
    org.opencontainers.image.description="Live updates for tasks in MongoDB, over WebSocket" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.revision="$REVISION" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.base.name="docker.io/library/python:3.13-slim"

EXPOSE 8080
# With RELAY_ADMIN_PORT it asks there, because the clients' port has no room for it while it is full. http.client ignores
# proxies in the environment. RELAY_PORT may be the variable of a Kubernetes Service; the relay then listens on 8080.
# A certificate is not verified, because it is not one for 127.0.0.1.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD \
    python -c "import http.client, os, ssl; ports = [os.environ.get(name, '').strip() for name in ('RELAY_ADMIN_PORT', 'RELAY_PORT')]; where = ('127.0.0.1', next((int(port) for port in ports if port.isdecimal() and int(port)), 8080)); at = http.client.HTTPSConnection(*where, timeout=2, context=ssl._create_unverified_context()) if os.environ.get('RELAY_TLS_CERT', '').strip() else http.client.HTTPConnection(*where, timeout=2); at.request('GET', '/healthz'); raise SystemExit(at.getresponse().status != 200)"
CMD ["relay", "serve"]

# The relay alone. Its dependencies are locked by hash, and it runs as an unprivileged user.
FROM python:3.13-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 RELAY_HOST=0.0.0.0
WORKDIR /relay

COPY requirements/runtime.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/runtime.txt

COPY pyproject.toml README.md LICENSE ./
COPY relay relay
RUN pip install --no-cache-dir --no-deps --no-build-isolation . && useradd --system relay
USER relay

EXPOSE 8080
# http.client ignores proxies in the environment. RELAY_PORT may be the variable of a Kubernetes Service; the relay then
# listens on 8080.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD \
    python -c "import http.client, os; port = os.environ.get('RELAY_PORT', '').strip(); at = http.client.HTTPConnection('127.0.0.1', int(port) if port.isdecimal() else 8080, timeout=2); at.request('GET', '/healthz'); raise SystemExit(at.getresponse().status != 200)"
CMD ["relay", "serve"]

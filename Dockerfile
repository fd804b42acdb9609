# The relay alone: what it needs is locked by hash, and it runs as nobody in particular.
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
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD \
    python -c "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"RELAY_PORT\", \"8080\")}/healthz', timeout=2)"
CMD ["relay", "serve"]

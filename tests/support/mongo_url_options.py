"""Options of a MongoDB URL that the relay sets itself, with values that would be visible if they took effect."""

from __future__ import annotations

# For each option that the relay sets itself, a value that would be visible if it took effect.
CONTRARY_VALUES = {
    "connectTimeoutMS": "1",
    "datetime_conversion": "datetime_ms",
    "enableOverloadRetargeting": "true",
    "heartbeatFrequencyMS": "900000",
    "maxAdaptiveRetries": "9",
    "maxConnecting": "1",
    "maxPoolSize": "1",
    "minPoolSize": "50",
    "readConcernLevel": "linearizable",
    "retryReads": "false",
    "server_api": "1",
    "serverSelectionTimeoutMS": "1",
    "socketTimeoutMS": "1",
    "timeoutMS": "30000",
    "tz_aware": "true",
    "unicode_decode_error_handler": "ignore",
    "uuidRepresentation": "javaLegacy",
    "waitQueueTimeoutMS": "1",
    "connect": "false",
    "driver": "x",
    "fsync": "true",
    "journal": "true",
    "retryWrites": "false",
    "w": "0",
    "waitQueueMultiple": "1",
    "wTimeoutMS": "1",
    "proxyHost": "proxy.example.com",
    "proxyPort": "1080",
    "proxyUsername": "hunter2",
    "proxyPassword": "hunter2",
}

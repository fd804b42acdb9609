"""Which names announce a secret, and which values under such a name are none. Pure.

Rules of this file: nothing here raises, whatever the name or the value; a name counts as a whole, in any
spelling. docs/reference/redaction.md lists every name and word of this file; `scripts/generate` copies them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"
NAME_LENGTH = 100  # characters; the value of a field with a longer name is never taken for a secret
_NAMES_CACHED = 4_096
COUNT_LIMIT = 10_000  # a number below it under `pass` or under a plural is a count; under `tokens` any number
_COUNT_DEPTH = 8  # levels of lists and objects that are searched for anything but counts


def words(text: str) -> tuple[str, ...]:
    """The words of a text, as a table of words is best read and changed."""
    return tuple(text.split())


# Names that announce a secret, normalised. The whole name counts: `token`, not `tokenCount`.
NAMES = words(
    """
    token access_token refresh_token id_token auth_token oauth_token session_token security_token bearer_token
    api_token bot_token csrf_token xsrf_token sas_token personal_access_token private_token job_token
    registration_token reset_token jwt password passwd pass pwd passphrase passcode password_hash new_password
    old_password current_password confirm_password secret secrets client_secret app_secret api_secret
    signing_secret shared_secret webhook_secret token_secret consumer_secret consumer_key auth_secret auth_key
    session_secret api_key secret_key private_key access_key access_key_id secret_access_key shared_access_key
    signing_key encryption_key master_key account_key ssh_key deploy_key subscription_key license_key
    storage_key session_key hmac_key service_account_key functions_key seed_phrase recovery_phrase mnemonic
    secret_key_base credential credentials creds authorization proxy_authorization cookie cookies set_cookie
    session_cookie connection_string otp totp
    """
)
# Words that may stand before one of them: `githubToken`, `DB_PASSWORD`, `x-api-key`.
OWNERS = words(
    """
    x my app api admin root user client server service bot ci dev prod auth oauth jwt session cookie webhook
    smtp mail ssh tls ssl db database pg postgres mysql redis mongo mongodb registry deploy aws azure gcp
    google gemini github gh gitlab slack discord telegram stripe twilio sendgrid npm pypi docker hf openai
    anthropic vault production stage staging test local default initial temp temporary master main backup
    system super superuser owner account login email web site http https rest graphql git repo device invite
    proxy wifi vpn ftp sftp imap ldap sso saml oidc cert store keystore truststore rsa pgp gpg sql mssql sa
    mariadb oracle rabbitmq amqp kafka nats mqtt elastic elasticsearch minio s3 amz k8s kubernetes jenkins
    circleci sonar nexus artifactory codecov sentry datadog dd grafana bitbucket gitea jira atlassian linear
    notion figma vercel netlify heroku cloudflare supabase firebase auth0 okta keycloak django flask rails
    nextauth mistral cohere ocp apim groq huggingface deepseek openrouter claude langchain langsmith pinecone
    ansible become sudo
    """
)
# Names before which any word may stand but those of NO_OWNERS. In CAPITALS, as variables of an
# environment are written, this holds for every name: `ACME_PASSWORD`, `ACME_TOKEN`.
OPEN = words(
    """
    password passwd passphrase api_key secret_key private_key secret_access_key client_secret access_token
    refresh_token auth_token
    """
)
NO_OWNERS = words(
    """
    has have is no not non with without use uses need needs require reset requires required allow allows
    enable enabled disable disabled show hide hidden forgot forgotten lost change changed update updated
    expired revoked invalid bad wrong incorrect missing empty unexpected unknown unsupported weak error err
    max min num total count input output prompt completion cached reasoning thinking next page previous prev
    stop start end eos bos pad unk cancellation cancel continuation continue resume sync
    """
)


def normalised(name: str) -> str:
    """`apiKey`, `api_key` and `API-KEY` are one name: `apikey`."""
    return "".join(filter(str.isalnum, name)).casefold()


# What a field of some name holds may be harmless: a predicate over the value.
Harmless = Callable[[Any], bool]


def never(value: Any) -> bool:
    """Whatever such a name holds is a secret."""
    return False


def is_switch(value: Any) -> bool:
    """True, false and null say about a secret that it is there, and nothing more."""
    return value is None or isinstance(value, bool)


def is_count(value: Any, limit: float = COUNT_LIMIT, depth: int = _COUNT_DEPTH) -> bool:
    """Numbers below the limit, true, false, null, and lists and objects of nothing else."""
    match value:
        case None | bool():
            return True
        case int() | float():
            return -limit < value < limit
        case Mapping():
            return depth > 0 and all(is_count(item, limit, depth - 1) for item in value.values())
        case list() | tuple():
            return depth > 0 and all(is_count(item, limit, depth - 1) for item in value)
        case _:
            return False


def is_number(value: Any) -> bool:
    """What `tokens` hold where they are the tokens of a language model."""
    return is_count(value, float("inf"))


def is_path(value: Any) -> bool:
    """What PWD holds in an environment: the directory a process works in."""
    return isinstance(value, str) and _PATH.fullmatch(value) is not None


def is_setting(value: Any) -> bool:
    """What `secrets` hold in a workflow, and `credentials` where a browser fetches: a setting."""
    return isinstance(value, str) and value in ("inherit", "include", "same-origin", "omit")


_SETTINGS = ("secrets", "credentials")
_PATH = re.compile(r"(?:/|~(?:/|\Z)|\.{1,2}(?:/|\Z)|[A-Za-z]:[\\/])[\w./\\~@+ -]{0,1000}")
_LAST = re.compile(r"[\w./:-]*[./:]([\w-]+)")  # the last name of a path
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def _any_of(words: Iterable[str]) -> str:
    return "|".join(sorted({word.replace("_", "") for word in words}, reverse=True))


# Digits count for nothing behind a word: `password2`, `oauth2ClientSecret`, `TOKEN_1`.
_NAME = re.compile(
    rf"(?:(?:{_any_of(OWNERS)})[0-9]{{0,4}}){{0,4}}"
    rf"(?:(?P<tokens>(?:{_any_of(name for name in NAMES if name.endswith('token'))})s)"
    rf"|(?P<pass>pass)|(?P<path>(?<![a-z])pwd)|(?P<one>{_any_of(NAMES)})|(?P<many>{_any_of(NAMES)})s)[0-9]{{0,4}}"
)
_HARMLESS: dict[str | None, Harmless] = {
    "tokens": is_number,
    "pass": is_count,
    "path": is_path,
    "one": never,
    "many": is_count,
}
_OPEN = frozenset(name.replace("_", "") for name in OPEN)
_NO_OWNERS = frozenset(NO_OWNERS)


class Names:
    """The names of one deployment: those above, what its mapping adds, and without what it takes out.
    Never changes after it was made."""

    def __init__(self, added: Iterable[str] = (), kept: Iterable[str] = ()) -> None:
        self.added = frozenset(map(normalised, added))
        self._kept = frozenset(map(normalised, kept))
        self.hides = lru_cache(_NAMES_CACHED)(self._hides)  # callers bound the length of a name

    def _hides(self, name: str) -> Harmless | None:
        """None where what a field of this name holds may be shown; else it is a secret, unless the
        predicate says that the value is harmless. Of a path, such as `spring.datasource.password`, the last
        name counts as well."""
        harmless = self._whole(name)
        if harmless is None:
            of_path = _LAST.fullmatch(name)
            if of_path is not None:
                harmless = self._whole(of_path[1])
        return harmless

    def _whole(self, name: str) -> Harmless | None:
        plain = normalised(name)
        if plain in self._kept:
            return None
        if plain in self.added:
            return never
        if plain in _SETTINGS:
            return is_setting
        found = _NAME.fullmatch(plain)
        return _open(name) if found is None else _HARMLESS[found.lastgroup]


def _open(name: str) -> Harmless | None:
    """The same of a name after words that are nowhere listed."""
    words = [word.lower() for word in _WORD.findall(name)]
    while words and words[-1].isdigit():
        words.pop()
    in_capitals = "_" in name and name.isupper()
    for first in range(1, len(words)):
        if words[first - 1] in _NO_OWNERS:
            return None
    for first in range(1, len(words)):
        rest = "".join(words[first:])
        if in_capitals:
            found = _NAME.fullmatch(rest)
            if found is not None:
                harmless = _HARMLESS[found.lastgroup]
                return is_switch if harmless is never else harmless
        elif rest in _OPEN or rest.removesuffix("s") in _OPEN:
            return is_switch
    return None

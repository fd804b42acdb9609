"""Names of fields that hold secrets, and the values of such fields that are harmless. Pure.

A value is harmless if it cannot be a secret although its name says so, such as the count in `tokens: 120`. Harmless
values are sent; all other values of such fields are redacted.

Rules of this file: nothing here raises, whatever the name or the value; a name is compared as a whole, in any
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
# Under the name `pass` and under plurals, numbers below this limit are counts and no secrets. Under `tokens`, numbers
# of any size are counts.
COUNT_LIMIT = 10_000
_COUNT_DEPTH = 8  # levels of lists and objects that may hold counts; anything deeper is a secret


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text, which are separated by white space.

    The tables of words are written as blocks of text, which are easier to read and to change than tuples of strings.
    """
    return tuple(text.split())


# Names of fields that hold secrets, normalised. Names are compared as a whole: `token` is such a name, `tokenCount` is
# not.
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
# Words that may stand before such a name: `githubToken`, `DB_PASSWORD`, `x-api-key`.
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
# Names before which any word may stand, except those of NO_OWNERS. In CAPITALS, as variables of an environment are
# written, this holds for all names: `ACME_PASSWORD`, `ACME_TOKEN`.
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
    """Return the form in which names are compared: `apiKey`, `api_key` and `API-KEY` all become `apikey`."""
    return "".join(filter(str.isalnum, name)).casefold()


# A predicate over the value of a field whose name is that of a secret: true if the value is harmless.
Harmless = Callable[[Any], bool]


def never(value: Any) -> bool:
    """Return False for every value: for names under which every value is a secret."""
    return False


def is_switch(value: Any) -> bool:
    """Whether the value is true, false or null, which say at most that there is a secret, but not which one."""
    return value is None or isinstance(value, bool)


def is_count(value: Any, limit: float = COUNT_LIMIT, depth: int = _COUNT_DEPTH) -> bool:
    """Whether the value is a count, and so no secret: a number below `limit` in magnitude, true, false or null.

    A list or object that holds nothing but counts is a count too, if it is nested at most `depth` levels deep.
    """
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
    """Whether the value of a name such as `tokens` counts a language model's tokens, and so is no secret.

    Such a value is a number of any size, true, false, null, or a list or object of nothing but these.
    """
    return is_count(value, float("inf"))


def is_path(value: Any) -> bool:
    """Whether the value of `PWD` is a path, as in the environment of a process, and so no password."""
    return isinstance(value, str) and _PATH.fullmatch(value) is not None


def is_setting(value: Any) -> bool:
    """Whether the value of `secrets` (in a GitHub workflow) or `credentials` (of a browser's fetch) is a setting.

    The settings are `inherit`, `include`, `same-origin` and `omit`; all other values may be secrets.
    """
    return isinstance(value, str) and value in ("inherit", "include", "same-origin", "omit")


_SETTINGS = ("secrets", "credentials")
_PATH = re.compile(r"(?:/|~(?:/|\Z)|\.{1,2}(?:/|\Z)|[A-Za-z]:[\\/])[\w./\\~@+ -]{0,1000}")
_LAST = re.compile(r"[\w./:-]*[./:]([\w-]+)")  # a dotted path; its group is the last name in the path
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def _any_of(words: Iterable[str]) -> str:
    return "|".join(sorted({word.replace("_", "") for word in words}, reverse=True))


# Digits after a word are ignored: `password2`, `oauth2ClientSecret`, `TOKEN_1`.
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
    """The names of secrets in one deployment. Immutable.

    These are the names that this file knows and those in `added`, without those in `kept`, whose values are sent.
    """

    def __init__(self, added: Iterable[str] = (), kept: Iterable[str] = ()) -> None:
        self.added = frozenset(map(normalised, added))
        self._kept = frozenset(map(normalised, kept))
        # Callers bound the length of a name, so the cache has a bounded size.
        self.hides = lru_cache(_NAMES_CACHED)(self._hides)

    def _hides(self, name: str) -> Harmless | None:
        """Whether a field with this name holds a secret.

        Return None if not; else a predicate that is true for values of this field that are harmless, such as counts. If
        the name is a path, such as `spring.datasource.password`, its last part is tried as well.
        """
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
    """Whether a name that begins with words unknown to this file, such as `ACME_PASSWORD`, is that of a secret.

    Return None if not; else a predicate that is true for values of this name that are harmless.
    """
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

"""Batchyard's own routes: the tables of ``api/extra.py`` and ``api/tasks.py``."""

from __future__ import annotations

from batchyard.api import extra, tasks
from reference import text

EXAMPLE = """
eval "$(batchyard env)"
id=$(batchyard run --detach -- echo hello)
curl -sS --fail --aws-sigv4 aws:amz:us-east-1:batch --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
    "$AWS_ENDPOINT_URL_BATCH/x/jobs/$id" | python3 -m json.tool
""".strip()


def page() -> str:
    rows = [(text.code(f"{each.method} {each.path}"), each.answers) for each in extra.ROUTES]
    return text.page(
        "Batchyard's own routes",
        """What AWS has no words for is served beside its API, on the same port. Answers are JSON unless said otherwise.
Requests are signed as any other, with the service `batch`.""",
        text.table(("route", "answers"), rows),
        "curl can sign:",
        text.picture("sh", EXAMPLE),
        """What a task asks while it runs is not signed, but shown a token that opens this door of this attempt and no
other, as long as the attempt is STARTING or RUNNING
([Roles, secrets and S3](../how-to/roles-and-secrets.md)):""",
        text.table(
            ("route", "who asks", "token", "answers"),
            [(text.code(f"GET {path}"), *rest) for path, *rest in tasks.ROUTES],
        ),
        about="<!-- page: needs curl: curl -->",
    )

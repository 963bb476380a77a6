"""The questions on BigQuery: one statement each, over the tables of an export."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY

from bridge.fleet.questions import Answers, FleetError, statement

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from bridge.fleet.questions import Question, Rows

_REQUEST: Final = 60.0
_ANSWER: Final = 600.0
_RETRY: Final = DEFAULT_RETRY.with_timeout(_REQUEST)
_DAYS: Final = 28


def ask(
    source: str, asked: Iterable[Question], k: int, first: date | None, last: date | None, *, dry_run: bool = False
) -> Answers:
    """Answer questions from an export in BigQuery, with Application Default Credentials.

    Args:
        source: project and dataset, as "project.analytics_123456789"; the project is billed.
        asked: what is asked.
        k: groups of fewer installations are not shown.
        first: the first day; None for 28 days in all.
        last: the last day; None for yesterday, UTC.
        dry_run: only find out how many bytes would be read, and billed: the one cell of each answer.

    Raises:
        FleetError: no dataset is named, there are no credentials, or BigQuery refuses or does not answer in time.
    """
    last = last or datetime.now(UTC).date() - timedelta(1)
    first = first or last - timedelta(_DAYS - 1)
    project, _, dataset = source.partition(".")
    if not (project and dataset):
        raise FleetError(f"{source!r} names no dataset", "write it as bigquery://PROJECT/analytics_123456789")
    if first > last:
        raise FleetError(f"there is no day from {first} to {last}", "choose --first before --last")
    values = (("first", "DATE", first), ("last", "DATE", last), ("k", "INT64", k))
    config = bigquery.QueryJobConfig(
        query_parameters=[bigquery.ScalarQueryParameter(*each) for each in values], dry_run=dry_run
    )
    answers: dict[str, Rows] = {}
    try:
        client = bigquery.Client(project)
        for one in asked:
            text = statement(one, f"{source}.events_*")
            job = client.query(text, config, retry=_RETRY, job_retry=None, timeout=_REQUEST)
            if dry_run:
                answers[one.name] = ({"bytes": int(job.total_bytes_processed)},)
            else:
                answers[one.name] = one.rows(row.values() for row in job.result(retry=_RETRY, timeout=_ANSWER))
        return Answers(first, last, k, 0, answers)
    except (GoogleAPIError, GoogleAuthError, TimeoutError) as error:
        what = f"BigQuery does not answer: {str(error).splitlines()[0]}"
        login = "gcloud auth application-default login"
        raise FleetError(what, f"check the dataset, the credentials ({login}), the role BigQuery Job User") from error

"""The questions on BigQuery: one statement each, over the tables of an export."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY

from bridge.fleet.questions import Answer, FleetError, statement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from bridge.fleet.questions import Question

_REQUEST: Final = 60.0
_ANSWER: Final = 600.0
_RETRY: Final = DEFAULT_RETRY.with_timeout(_REQUEST)
_DAYS: Final = 28


class BigQueryFleet:
    """The export of a property in BigQuery, of which questions can be asked.

    Args:
        dataset: project and dataset, as "project.analytics_123456789"; the project is billed.
        first: the first day; None for 28 days in all.
        last: the last day; None for yesterday, UTC.
        client: what talks to BigQuery; None for one with Application Default Credentials.

    Raises:
        FleetError: as all methods: there are no credentials, or BigQuery refuses or does not answer in time.
    """

    broken = 0

    def __init__(
        self, dataset: str, first: date | None, last: date | None, client: bigquery.Client | None = None
    ) -> None:
        self.last = last or datetime.now(UTC).date() - timedelta(days=1)
        self.first = first or self.last - timedelta(days=_DAYS - 1)
        if self.first > self.last:
            raise FleetError(f"there is no day from {self.first} to {self.last}", "choose --first before --last")
        self._tables = f"{dataset}.events_*"
        with _clear_errors():
            self._client = client or bigquery.Client(dataset.split(".", maxsplit=1)[0])

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()  # type: ignore[no-untyped-call]

    def ask(self, question: Question, k: int) -> Answer:
        """Answer a question, with groups of fewer than k installations hidden."""
        with _clear_errors():
            rows = self._query(question, k).result(retry=_RETRY, timeout=_ANSWER)
            return Answer(question, [tuple(row.values())[: len(question.header)] for row in rows])

    def bytes_billed(self, question: Question, k: int) -> int:
        """How many bytes BigQuery would read, and bill, for a question."""
        with _clear_errors():
            return int(self._query(question, k, dry_run=True).total_bytes_processed)

    def _query(self, question: Question, k: int, *, dry_run: bool = False) -> bigquery.QueryJob:
        days = {"first": self.first, "last": self.last}
        named = [bigquery.ScalarQueryParameter(name, "DATE", day) for name, day in days.items()]
        named.append(bigquery.ScalarQueryParameter("k", "INT64", k))
        job = bigquery.QueryJobConfig(query_parameters=named, dry_run=dry_run)
        text = statement(question, self._tables)
        return self._client.query(text, job, retry=_RETRY, job_retry=None, timeout=_REQUEST)


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except (GoogleAPIError, GoogleAuthError, TimeoutError) as error:
        remedy = (
            "check the dataset, the credentials (gcloud auth application-default login), the role BigQuery Job User"
        )
        raise FleetError(f"BigQuery does not answer: {str(error).splitlines()[0]}", remedy) from error

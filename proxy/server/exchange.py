"""One exchange: a client's request, what was decided of it, and what the log says in the end."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.coalesce.answer import Answer, Outcome
from proxy.coalesce.outcomes import Role
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead, ResponseHead
from proxy.server.prepared import Prepared
from proxy.server.request_body import ClientBody
from proxy.server.response_writer import ResponseWriter


@dataclass(slots=True, eq=False)
class Exchange:
    """Facts of one exchange; written to by whoever answers it, read by the ledger.

    `wait_s` is the time in another's flight, `origin_s` the time until the origin's head. `shareable` says
    that the answer is one which may be shared, stored or just fetched (the leak ratio). `aborted`
    says that the client did not get the whole answer, and `reason` why something went wrong.
    """

    writer: ResponseWriter
    client: str
    trusted: bool
    started_at: float
    started_mono: float
    request: RequestHead | None = None
    prepared: Prepared | None = None
    body: ClientBody | None = None
    outcome: Outcome = Outcome.REFUSED
    role: Role | None = None
    wait_s: float = 0.0
    origin_s: float = 0.0
    shareable: bool = False
    aborted: bool = False
    reason: str = ""
    route: str = ""
    waits_for_continue: bool = False

    def answered_with(self, answer: Answer) -> None:
        """This is what its client is given."""
        self.outcome = answer.outcome
        self.role = answer.role
        self.wait_s = answer.wait_s
        self.origin_s = answer.origin_s
        self.shareable = answer.age_s is not None

    def client_gone(self) -> None:
        """The client left; an answer that was on its way keeps its outcome."""
        self.aborted = True
        self.reason = self.reason or "client-gone"
        if self.outcome is Outcome.REFUSED and not self.writer.head_sent:
            self.outcome = Outcome.GONE

    def continue_now(self) -> None:
        """Tell a client that waits for it to send its body (RFC 9110 §10.1.1)."""
        if self.waits_for_continue:
            self.waits_for_continue = False
            self.writer.informational(ResponseHead(100, Fields(), b"Continue"))

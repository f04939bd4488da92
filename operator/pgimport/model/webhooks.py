"""Defines webhooks: their settings in a Project, and the state of their deliveries, which the operator writes."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field

from pgimport.model.base_models import LenientModel, StrictModel
from pgimport.model.object_references import SecretKey
from pgimport.model.scalar_types import Time
from pgimport.model.string_types import Label, WebhookURL

MAX_WEBHOOKS = 8  # of a Project
UNIQUE_NAMES = "each webhook needs a name of its own"


class WebhookEvent(StrEnum):
    """What a webhook can announce, under the names of CapyDB."""

    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    IMPORT_COMPLETED = "import.completed"
    PREVIEW_READY = "preview.ready"
    PREVIEW_DELETED = "preview.deleted"


class Webhook(StrictModel):
    """Names a receiver of events, and the Secret that signs them."""

    name: Label = Field(description="The name of the webhook, by which status and metrics show it.")
    url: WebhookURL = Field(
        description="The https:// URL that receives each event as a POST request. All addresses of the host must be"
        " public, unless spec.sources allows others. Everybody who can read the Project can read the URL."
    )
    secret_ref: SecretKey = Field(
        description="Names the Secret and key in spec.namespace that hold the key of the signature, at least 16"
        " characters. White space at its ends does not count."
    )
    ca_secret_ref: SecretKey | None = Field(
        default=None,
        description="Names the Secret and key in spec.namespace that hold the CA certificate of the receiver, as PEM."
        " If absent, the operator trusts the public CAs.",
    )
    events: list[WebhookEvent] = Field(
        default=[],
        max_length=16,
        description="The events to send: job.completed, job.failed, import.completed, preview.ready, preview.deleted."
        " If absent or empty, all.",
    )

    def wants(self, event: WebhookEvent) -> bool:
        return not self.events or event in self.events


class DeliveryState(StrEnum):
    """States of a delivery: pending → delivered | failed."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookDelivery(LenientModel):
    """Shows the delivery of one event to one webhook."""

    id: str = Field(description="The ID of the delivery, as in the header X-CapyDB-Delivery. It stays in each attempt.")
    webhook: str = Field(description="The name of the webhook in spec.webhooks of the Project.")
    event: WebhookEvent = Field(description="The event, as in the header X-CapyDB-Event.")
    state: DeliveryState = Field(
        default=DeliveryState.PENDING,
        description="The state of the delivery: pending, delivered, or failed if it is not tried again.",
    )
    occurred_at: Time = Field(description="The time at which the operator wrote the state that caused the event.")
    attempts: int = Field(default=0, description="The number of times that the operator has tried to send the event.")
    last_attempt_at: Time | None = Field(default=None, description="The time at which the last attempt ended.")
    next_attempt_at: Time | None = Field(
        default=None, description="The time of the next attempt. It is absent for the first one, and after the last."
    )
    error: str | None = Field(default=None, description="The reason why the last attempt failed.")

    @property
    def pending(self) -> bool:
        return self.state is DeliveryState.PENDING


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """Result of one request to a receiver. Neither URL nor secret is in the error."""

    error: str | None = None  # None: the receiver has accepted the event
    final: bool = False  # the error would be the same each time
    removed: bool = False  # the Project shows no webhook of this name, so the result is not remembered


class OutboxEntry(LenientModel):
    """A delivery of an object that is deleted, with its body."""

    project: str
    object_id: str  # as in the HTTP API, for messages
    delivery: WebhookDelivery
    body: str

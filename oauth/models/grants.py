"""What waits to be exchanged for tokens: authorization codes, devices, long authorization requests."""

from uuid import uuid4

from django.db import models
from django.utils import timezone
from oauth2_provider.models import AbstractDeviceGrant, AbstractGrant

from oauth.models.clients import Application


class Grant(AbstractGrant):
    """An authorization code. The row outlives its use, so that a second use can be told from an unknown code.

    ``code`` holds the keyed digest of the code. ``redirect_uri`` is empty where the request left it out. ``claims`` is
    the parameter of OpenID Connect Core §5.5 as it came, empty where it didn't.
    """

    #: Id of the client's session that the code gives, ended when the code is used again.
    session_id = models.UUIDField(default=uuid4, editable=False)
    #: The session on the pages in which the code was allowed; its ``sid`` goes into ID tokens.
    opened_in = models.ForeignKey("accounts.Session", on_delete=models.SET_NULL, null=True, editable=False)
    #: When the person had last shown who they are.
    authenticated_at = models.DateTimeField(default=timezone.now, editable=False)
    #: How they did, as methods of RFC 8176 §2 between spaces.
    amr = models.CharField(max_length=100, blank=True, editable=False)
    #: When somebody tried to exchange it, with whatever success; empty until then.
    consumed_at = models.DateTimeField(null=True, editable=False)

    class Meta(AbstractGrant.Meta):
        abstract = False
        verbose_name = "authorization code"
        indexes = [models.Index(fields=["expires"], name="oauth_grant_expiry")]


class DeviceGrant(AbstractDeviceGrant):
    """A device that waits for its user (RFC 8628). Both codes are stored as keyed digests.

    ``user_code`` is digested in its normal form: capitals without hyphens.
    """

    CONSUMED = "consumed"
    #: Besides the toolkit's: the device has its tokens.
    STATUSES = (*AbstractDeviceGrant.DEVICE_FLOW_STATUS, (CONSUMED, "Consumed"))

    client_id = None  # type: ignore[assignment]  # the foreign key has it
    last_checked = None  # type: ignore[assignment]  # it would change with every change of the row
    application = models.ForeignKey(Application, on_delete=models.CASCADE)
    status = models.CharField(max_length=64, choices=STATUSES, default=AbstractDeviceGrant.AUTHORIZATION_PENDING)
    user_code = models.CharField(max_length=64, unique=True)
    resource = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    #: When the device asked last; it must wait ``interval`` seconds in between, and 5 more each time it didn't.
    last_polled_at = models.DateTimeField(null=True, editable=False)
    #: From where the device asked, for who decides about it; empty where unknown.
    ip_address = models.GenericIPAddressField(null=True, editable=False)
    #: See ``Grant``.
    opened_in = models.ForeignKey("accounts.Session", on_delete=models.SET_NULL, null=True, editable=False)
    #: See ``Grant``; empty until it is allowed.
    authenticated_at = models.DateTimeField(null=True, editable=False)
    #: See ``Grant``.
    amr = models.CharField(max_length=100, blank=True, editable=False)

    class Meta(AbstractDeviceGrant.Meta):
        abstract = False
        verbose_name = "waiting device"
        indexes = [models.Index(fields=["expires"], name="oauth_devicegrant_expiry")]


class StoredRequest(models.Model):
    """An authorization request that is too long to go through sign-in in an address; it waits here under a handle."""

    #: Keyed SHA-256 (hex) of the handle.
    digest = models.CharField(primary_key=True, max_length=64)
    application = models.ForeignKey(Application, on_delete=models.CASCADE)
    #: As the client sent them.
    parameters = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"Request of {self.application_id}"

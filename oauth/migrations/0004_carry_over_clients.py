"""Give clients their grant types and secrets in the new form."""

from django.db import migrations

_GRANT_TYPES = {
    "authorization-code": ["authorization_code", "refresh_token"],
    "client-credentials": ["client_credentials"],
}
_STORED = "client_secret$keyed$"


def carry_over(apps, schema_editor):
    Application, ClientSecret = apps.get_model("oauth", "Application"), apps.get_model("oauth", "ClientSecret")
    for client in Application.objects.all():
        client.grant_types = _GRANT_TYPES.get(client.authorization_grant_type, [])
        client.algorithm = "RS256"
        client.save(update_fields=["grant_types", "algorithm"])
        digest = client.client_secret.removeprefix(_STORED)
        if client.client_type == "confidential" and digest != client.client_secret:
            ClientSecret.objects.create(application=client, digest=digest, created_at=client.created)


class Migration(migrations.Migration):
    dependencies = [("oauth", "0003_clients_consents_devices")]
    operations = [migrations.RunPython(carry_over, migrations.RunPython.noop)]

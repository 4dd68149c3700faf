"""Delete the codes and tokens of the tables as they were: from here on tokens live elsewhere. Clients get new ones."""

from django.db import migrations


def end_tokens(apps, schema_editor):
    for name in ("AccessToken", "RefreshToken", "IDToken", "Grant", "DeviceGrant"):
        apps.get_model("oauth", name).objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("oauth", "0001_initial")]
    operations = [migrations.RunPython(end_tokens, migrations.RunPython.noop)]

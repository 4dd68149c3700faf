from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("oauth", "0004_carry_over_clients")]
    operations = [
        migrations.RemoveField(model_name="application", name="authorization_grant_type"),
        migrations.RemoveField(model_name="application", name="client_secret"),
        migrations.RemoveField(model_name="application", name="hash_client_secret"),
    ]

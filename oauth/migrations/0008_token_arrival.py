import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("oauth", "0007_sweep_indexes")]
    operations = [
        migrations.AlterField(
            model_name="accesstoken",
            name="created",
            field=models.DateTimeField(default=django.utils.timezone.now, editable=False),
        ),
    ]

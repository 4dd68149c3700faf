from datetime import datetime, timedelta

from django.db import migrations, models
from django.utils import timezone


def in_a_month() -> datetime:
    """Return when events that were counted before are forgotten: no window is known of them."""
    return timezone.now() + timedelta(days=31)


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0004_results'),
    ]

    operations = [
        migrations.CreateModel(
            name='JobMetric',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('minute', models.DateTimeField()),
                ('connection', models.CharField(max_length=100)),
                ('queue', models.CharField(max_length=100)),
                ('job_class', models.CharField(blank=True, max_length=200)),
                ('processed', models.PositiveBigIntegerField(default=0)),
                ('released', models.PositiveBigIntegerField(default=0)),
                ('failed', models.PositiveBigIntegerField(default=0)),
                ('timed_out', models.PositiveBigIntegerField(default=0)),
                ('run_seconds', models.FloatField(default=0)),
                ('max_run_seconds', models.FloatField(default=0)),
                ('wait_seconds', models.FloatField(default=0)),
                ('max_wait_seconds', models.FloatField(default=0)),
            ],
            options={
                'verbose_name': 'metric',
                'db_table': 'job_metrics',
            },
        ),
        migrations.AddConstraint(
            model_name='jobmetric',
            constraint=models.UniqueConstraint(fields=('minute', 'connection', 'queue', 'job_class'), name='job_metrics_once'),
        ),
        migrations.AddField(
            model_name='hit',
            name='expires_at',
            field=models.DateTimeField(db_index=True, default=in_a_month),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name='counter',
            name='expires_at',
            field=models.DateTimeField(db_index=True),
        ),
        migrations.AddIndex(
            model_name='slot',
            index=models.Index(fields=['expires_at'], name='job_slots_expiry'),
        ),
    ]

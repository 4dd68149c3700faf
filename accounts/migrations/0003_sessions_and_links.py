from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import F
from django.utils import timezone

import accounts.models.users


def fill(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Say of what is stored already what it would have said when it was made."""
    alias = schema_editor.connection.alias
    apps.get_model("accounts", "EmailToken").objects.using(alias).update(account_email=F("email"))
    apps.get_model("accounts", "Session").objects.using(alias).update(authenticated_at=F("created_at"))


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_user_order'),
    ]

    operations = [
        migrations.AddField(
            model_name='emailtoken',
            name='account_email',
            field=accounts.models.users.LowercaseEmailField(default='', max_length=254),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='session',
            name='amr',
            field=models.CharField(default='pwd', max_length=100),
        ),
        migrations.AddField(
            model_name='session',
            name='authenticated_at',
            field=models.DateTimeField(default=timezone.now, null=True),
        ),
        migrations.AddField(
            model_name='session',
            name='end_reason',
            field=models.CharField(blank=True, choices=[('signed_out', 'signed out'), ('ended_by_user', 'ended from another device'), ('ended_by_admin', 'ended by an administrator'), ('password_changed', 'the password was changed'), ('email_changed', 'the e-mail address was changed'), ('deactivated', 'the account was deactivated'), ('token_reused', 'a refresh token was used twice')], max_length=20),
        ),
        migrations.AddField(
            model_name='session',
            name='kind',
            field=models.CharField(choices=[('api', 'programs and apps'), ('browser', 'these pages')], default='api', max_length=10),
        ),
        migrations.AlterField(
            model_name='emailtoken',
            name='expires_at',
            field=models.DateTimeField(db_index=True),
        ),
        migrations.AlterField(
            model_name='emailtoken',
            name='purpose',
            field=models.CharField(choices=[('verify_email', 'verify e-mail'), ('reset_password', 'choose a new password'), ('change_email', 'change e-mail')], max_length=20),
        ),
        migrations.AlterField(
            model_name='registration',
            name='created_at',
            field=models.DateTimeField(db_index=True, default=timezone.now),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
    ]

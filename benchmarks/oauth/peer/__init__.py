"""What is measured beside us: Django as it comes, with django-oauth-toolkit as it comes."""

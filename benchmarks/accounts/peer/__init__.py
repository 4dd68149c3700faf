"""What is measured beside us: Django as it comes, with djangorestframework-simplejwt as it comes."""

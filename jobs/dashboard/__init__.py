"""The pages at ``/admin/jobs/``: what jobs do, and what people do to them."""

# The house in an image; docs/deployment.md tells how it is run.
FROM python:3.14-slim AS build
WORKDIR /srv/gatehouse
COPY requirements/base.lock requirements/
RUN python -m venv --without-pip .venv \
    && python -m pip --python .venv/bin/python install --no-cache-dir --no-deps --require-hashes -r requirements/base.lock
COPY . .
ENV DJANGO_SETTINGS_MODULE=project.settings.production VAR_DIR=/var/lib/gatehouse
# Settings that stand for those of the installation: its pages' files are the same for all.
RUN export BASE_URL=https://build.invalid ALLOWED_HOSTS=build.invalid EMAIL_URL=smtp://build.invalid \
    && export SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
    && .venv/bin/python manage.py collectstatic --no-input \
    && .venv/bin/python -m compileall -q accounts jobs oauth permissions project

FROM python:3.14-slim
RUN useradd --no-create-home --uid 10001 gatehouse
COPY --from=build /srv/gatehouse /srv/gatehouse
COPY --from=build /var/lib/gatehouse /var/lib/gatehouse
WORKDIR /srv/gatehouse
ENV DJANGO_SETTINGS_MODULE=project.settings.production VAR_DIR=/var/lib/gatehouse PATH=/srv/gatehouse/.venv/bin:$PATH
USER 10001
EXPOSE 8000
CMD ["python", "-m", "granian", "--interface", "wsgi", "--host", "0.0.0.0", "--workers", "2", "--blocking-threads", "8", "--no-ws", "project.wsgi:application"]

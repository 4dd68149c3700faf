// Runs in the popup that Swagger UI opened for OAuth, once the authorization server has sent it back to us.
// Swagger UI leaves in its own window what it waits for: `swaggerUIRedirectOauth2` with the state it sent, the
// authorization object to complete, and two callbacks (RFC 6749 §4.1.2 for what comes back in the query).
"use strict";

(() => {
  const show = (text) => {
    document.getElementById("outcome").textContent = text;
  };

  const describe = (answer) => {
    const details = [answer.get("error_description"), answer.get("error_uri")].filter(Boolean).join(" ");
    return details ? `${answer.get("error")}: ${details}` : answer.get("error");
  };

  // What went wrong, or nothing.
  const complaint = (answer, state) => {
    if (answer.has("error")) {
      return describe(answer);
    }
    if (!state || answer.get("state") !== state) {
      return "The answer does not belong to this request: its state is another one.";
    }
    if (!answer.get("code")) {
      return "The authorization server sent no code.";
    }
    return "";
  };

  const expected = window.opener && window.opener.swaggerUIRedirectOauth2;
  if (!expected) {
    show("No documentation page is waiting for this answer. Open the documentation and authorize again.");
    return;
  }
  const answer = new URLSearchParams(window.location.search);
  const message = complaint(answer, expected.state);
  if (message) {
    expected.errCb({ authId: expected.auth.name, source: "auth", level: "error", message });
  } else {
    expected.auth.code = answer.get("code");
    delete expected.state;
    expected.callback({ auth: expected.auth, redirectUrl: expected.redirectUrl });
  }
  window.close();
})();

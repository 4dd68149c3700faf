// Posts the only form of the page to the client; without scripts its button does.
document.querySelector("main form").submit();

// The control room: live, and honest when the connection is lost.
import { keepFresh } from "./live.js";
import { enhanceForms } from "./forms.js";
import { localTimes } from "./times.js";

localTimes(document);
enhanceForms(document);
keepFresh(document.querySelector("[data-live]"), 2000, document.querySelector("[data-as-of]"));

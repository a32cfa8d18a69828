// The control room: its live part is fetched every two seconds, and its age shown when that fails.
import { keepFresh } from "./live.js";
import { enhanceForms } from "./forms.js";
import { localTimes } from "./times.js";

localTimes(document);
enhanceForms(document);
keepFresh(document.querySelector("[data-live]"), 2000, document.querySelector("[data-as-of]"));

// The demo's phones: looked at every other second.
import { keepFresh } from "./live.js";

keepFresh(document.querySelector("[data-live]"), 2000, document.querySelector("[data-as-of]"));

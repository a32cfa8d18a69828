// The demo's phones: fetched every two seconds.
import { keepFresh } from "./live.js";

keepFresh(document.querySelector("[data-live]"), 2000, document.querySelector("[data-as-of]"));

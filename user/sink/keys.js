// SPDX-License-Identifier: Apache-2.0
// The keys that both pictures have: / or Ctrl-F search, Escape ends the search, then the zoom.
"use strict";
function watchKeys(input, search, zoomOut) {
	window.addEventListener("keydown", event => {
		const find = event.key === "F3" || (event.key.toLowerCase() === "f" && (event.ctrlKey || event.metaKey));
		if (find || (event.key === "/" && event.target !== input)) {
			event.preventDefault();
			input.focus();
			input.select();
		} else if (event.key === "Escape") {
			if (input.value) {
				input.value = "";
				search();
			} else {
				zoomOut();
			}
			input.blur();
		}
	});
}

"""`newszop readers import`: our own lines, and the exports of other vendors."""

// Keeps the end of a growing page in view, until the reader scrolls up; again when the reader returns to the end.

/** Follows the growth of an element; returns a function that stops it. */
export function followEnd(element) {
  const page = document.documentElement;
  let following = true;
  let top = window.scrollY;
  const onscroll = () => {
    const isAtEnd = page.scrollHeight - page.clientHeight - window.scrollY < 40;
    if (isAtEnd) following = true;
    else if (window.scrollY < top - 2) following = false;
    top = window.scrollY;
  };
  const toEnd = () => following && window.scrollTo({ top: page.scrollHeight, behavior: "instant" });
  const observer = new ResizeObserver(toEnd);
  observer.observe(element);
  window.addEventListener("scroll", onscroll, { passive: true });
  return () => {
    observer.disconnect();
    window.removeEventListener("scroll", onscroll);
  };
}

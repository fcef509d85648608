// The cookie of the API, which no other site can read. Another token comes with a log-in or log-out.
const token = () => document.cookie.match(/(?:^|; )__Host-csrf=([^;]*)/)?.[1] ?? "";

document.querySelector("#by-script").addEventListener("click", async () => {
  const answer = await fetch("/notes", {
    method: "PUT",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": token() },
    body: JSON.stringify({ text: document.querySelector("[name=text]").value }),
  });
  document.querySelector("#said").textContent = answer.ok ? "kept" : `refused: ${answer.status}`;
});

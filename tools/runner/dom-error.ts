/** An error with the name that a browser gives it. */
export function domError(name: string, message: string): Error {
  const error = new Error(message);
  error.name = name;
  return error;
}
